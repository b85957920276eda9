"""The tenants app."""

from django.apps import AppConfig

from audit.registry import registry as actions
from kernel.authz import registry as permissions
from tenants.actions import ALL as ACTIONS
from tenants.permissions import ALL as PERMISSIONS


class TenantsConfig(AppConfig):
    """The tenant record and its life."""

    name = "tenants"
    verbose_name = "Tenants"

    def ready(self) -> None:
        """Register permissions and audit actions."""
        permissions.register(*(one for one in PERMISSIONS if one.name not in permissions))
        actions.register(*(one for one in ACTIONS if one.name not in actions))
