"""Reads of subscriptions and subjects."""

from billing.subscriptions.queries.subscriptions import (
    current_subscription,
    current_version_id,
    history,
    plan_keys,
    version_id_at,
)

__all__ = ["current_subscription", "current_version_id", "history", "plan_keys", "version_id_at"]
