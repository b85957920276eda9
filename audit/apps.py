"""Registers the log's own actions and permissions."""

from django.apps import AppConfig

from audit import actions, permissions
from audit.registry import registry
from kernel import authz


class AuditConfig(AppConfig):
    """The sealed audit log."""

    name = "audit"
    verbose_name = "Audit log"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the log's own actions and permissions."""
        registry.register(*actions.ALL)
        authz.registry.register(*permissions.ALL)
