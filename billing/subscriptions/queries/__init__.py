"""Reads of subscriptions and subjects."""

from billing.subscriptions.queries.subscriptions import (
    ROWS,
    current_subscription,
    history,
    plan_keys,
    version_id_at,
)

__all__ = [
    "ROWS",
    "current_subscription",
    "history",
    "plan_keys",
    "version_id_at",
]
