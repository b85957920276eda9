"""Changes of subscriptions and subjects: one verb, one transaction, one audit entry."""

from billing.subscriptions.services.subscriptions import assign

__all__ = ["assign"]
