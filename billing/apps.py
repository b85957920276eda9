"""The app registration of billing."""

from django.apps import AppConfig

from audit.registry import registry as actions
from billing.actions import ALL as ACTIONS
from billing.permissions import ALL as PERMISSIONS
from billing.usage.actions import ALL as USAGE_ACTIONS
from billing.usage.permissions import ALL as USAGE_PERMISSIONS
from kernel.authz import registry as permissions


class BillingConfig(AppConfig):
    """Plans, features, entitlements, metering and invoices, in that inner order."""

    name = "billing"
    label = "billing"
    verbose_name = "Billing"

    def ready(self) -> None:
        """Register permissions and audit actions."""
        for permission in (*PERMISSIONS, *USAGE_PERMISSIONS):
            if permission.name not in permissions:
                permissions.register(permission)
        for action in (*ACTIONS, *USAGE_ACTIONS):
            if action.name not in actions:
                actions.register(action)
