"""The backlog as metrics, read from the database at each scrape of a worker.

Any worker tells the same figures of the whole deployment: combine them with max(), not sum().
"""

from collections.abc import Callable, Iterator

import structlog
from django.db import DatabaseError, InterfaceError, connections
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from kernel import db
from kernel.vitals import backlog

# A service that is silent for longer is no longer listed: absence is what the alert looks for.
LISTED_S = 60.0
_log = structlog.get_logger("innkeeper.metrics")

apps: list[Callable[[], Iterator[Metric]]] = []
"""What apps tell of their own backlog at each scrape, as staff; bound by the composition root."""


class Background:
    """A collector; without an answer of the database it says so and nothing else."""

    def describe(self) -> list[Metric]:
        """Promise nothing, so that registering needs no database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read everything anew."""
        try:
            with db.use_alias("staff"):
                metrics = [*_services(), *_outbox(), *_queue()]
                metrics += [metric for figures in apps for metric in figures()]
        except (DatabaseError, InterfaceError) as error:
            _log.warning("backlog.unreadable", error=str(error).strip())
            metrics = []
        finally:
            connections["staff"].close()  # each scrape has a thread of its own
        up = "Whether the worker's database answered this scrape"
        yield GaugeMetricFamily("innkeeper_database_up", up, value=1.0 if metrics else 0.0)
        yield from metrics


def _services() -> Iterator[Metric]:
    alive = GaugeMetricFamily(
        "innkeeper_worker_service_alive", "Whether a worker runs it", labels=["service"]
    )
    restarts = GaugeMetricFamily(
        "innkeeper_worker_service_restarts", "Times it died and came back", labels=["service"]
    )
    for beat in backlog.beats(LISTED_S):
        alive.add_metric([beat.service], float(beat.alive))
        restarts.add_metric([beat.service], beat.restarts)
    yield alive
    yield restarts


def _outbox() -> Iterator[Metric]:
    found = backlog.outbox()
    yield GaugeMetricFamily("innkeeper_outbox_waiting_events", "Not delivered", value=found.waiting)
    yield GaugeMetricFamily(
        "innkeeper_outbox_oldest_seconds", "How long the oldest is due", value=found.oldest_s
    )
    yield GaugeMetricFamily("innkeeper_outbox_dead_events", "Given up", value=found.dead)


def _queue() -> Iterator[Metric]:
    found = backlog.queue()
    jobs = GaugeMetricFamily("innkeeper_jobs", "Jobs by state", labels=["state"])
    for state in ("due", "running", "failed"):
        jobs.add_metric([state], getattr(found, state))
    yield jobs
