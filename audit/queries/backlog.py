"""How far the sealer is behind, and what the nightly verification found."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from kernel import db
from kernel.errors import Unavailable

RETRY_AFTER: Final = 5
_FRESH: Final = 1.0


@dataclass(frozen=True, slots=True)
class Unsealed:
    """Committed entries without a place, and the age of the oldest in seconds."""

    entries: int
    oldest_s: float


class Pressure:
    """Refuses ingest while the sealer lags; asks the database once a second at most."""

    def __init__(self) -> None:
        self._known = Unsealed(0, 0.0)
        self._until = 0.0

    def check(self) -> None:
        """Let an ingest pass or refuse it. Innkeeper's own entries are never asked.

        Raises:
            kernel.errors.Unavailable: an entry has waited longer than
                ``INNKEEPER_AUDIT_MAX_LAG`` (``audit_lagging``); come back later.
        """
        now = time.monotonic()
        if now >= self._until:
            self._known, self._until = unsealed(), now + _FRESH
        if self._known.oldest_s > settings.INNKEEPER_AUDIT_MAX_LAG_S:
            raise Unavailable(
                "The log is sealed too slowly to take more at the moment.",
                code="audit_lagging",
                retry_after=RETRY_AFTER,
            )


pressure: Final = Pressure()


def unsealed() -> Unsealed:
    """Measure the sealer's backlog over all tenants."""
    with db.cursor() as cursor:
        cursor.execute("SELECT entries, oldest_seconds FROM audit_unsealed()")
        return Unsealed(*cursor.fetchone())


def damaged() -> int:
    """Return how many logs had faults when they were last looked at. Runs as staff."""
    with db.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_verified WHERE faults > 0")
        return int(cursor.fetchone()[0])


def figures() -> Iterator[Metric]:
    """Give the log's backlog as metrics, read at each scrape of a worker. Runs as staff."""
    found = unsealed()
    yield GaugeMetricFamily(
        "innkeeper_audit_unsealed_entries", "Without a place in their log", value=found.entries
    )
    yield GaugeMetricFamily(
        "innkeeper_audit_unsealed_oldest_seconds", "Age of the oldest", value=found.oldest_s
    )
    yield GaugeMetricFamily(
        "innkeeper_audit_damaged_logs", "Logs with faults when last verified", value=damaged()
    )
