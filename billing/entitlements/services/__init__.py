"""Changes of entitlements: one verb, one transaction, one audit entry."""

from billing.entitlements.services.projection import on_subscription_changed, project

__all__ = ["on_subscription_changed", "project"]
