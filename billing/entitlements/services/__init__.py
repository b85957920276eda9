"""Changes of entitlements: one verb, one transaction, one audit entry."""

from billing.entitlements.services.projection import project

__all__ = ["project"]
