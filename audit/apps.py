"""Registers the log's own actions."""

from django.apps import AppConfig

from audit.actions import ALL
from audit.registry import registry


class AuditConfig(AppConfig):
    """The sealed audit log."""

    name = "audit"
    verbose_name = "Audit log"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the log's own actions once."""
        registry.register(*(action for action in ALL if action.name not in registry))
