"""Figures of the log. No tenant in a label: their number is unbounded."""

from typing import Final

from prometheus_client import Counter, Histogram

_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)

sealed: Final = Counter("innkeeper_audit_sealed_events", "Entries that were given a place")
lag_seconds: Final = Histogram(
    "innkeeper_audit_seal_lag_seconds",
    "Age of the oldest entry of a batch when it was given its place",
    buckets=_SECONDS,
)
pass_seconds: Final = Histogram(
    "innkeeper_audit_seal_pass_seconds", "Duration of one pass of the sealer", buckets=_SECONDS
)
