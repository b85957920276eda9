"""Figures of the log. No tenant in a label: their number is unbounded."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

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
streams: Final = Gauge(
    "innkeeper_audit_streams",
    "Streams by state",
    labelnames=["state"],
    multiprocess_mode="livemostrecent",
)
stream_lag_entries: Final = Gauge(
    "innkeeper_audit_stream_waiting_entries",
    "Entries that the stream furthest behind has not delivered",
    multiprocess_mode="livemostrecent",
)
stream_lag_seconds: Final = Gauge(
    "innkeeper_audit_stream_oldest_seconds",
    "Age of the oldest entry that an active stream has not delivered",
    multiprocess_mode="livemostrecent",
)
anchor_age_seconds: Final = Gauge(
    "innkeeper_audit_anchor_age_seconds",
    "Time since an anchor last took the state of the logs",
    labelnames=["anchor"],
    multiprocess_mode="livemostrecent",
)
anchor_failures: Final = Gauge(
    "innkeeper_audit_anchor_failures",
    "Failures of an anchor in a row",
    labelnames=["anchor"],
    multiprocess_mode="livemostrecent",
)
