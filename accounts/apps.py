"""The accounts app."""

from django.apps import AppConfig

from accounts.actions import ALL as ACTIONS
from accounts.permissions import ALL as PERMISSIONS
from audit.registry import registry as actions
from kernel.authz import registry as permissions


class AccountsConfig(AppConfig):
    """People, roles and keys."""

    name = "accounts"
    verbose_name = "People and keys"

    def ready(self) -> None:
        """Register permissions and audit actions."""
        permissions.register(*(one for one in PERMISSIONS if one.name not in permissions))
        actions.register(*(one for one in ACTIONS if one.name not in actions))
