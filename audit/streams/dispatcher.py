"""The service ``audit-streams`` of the worker: a few deliverers, so that a slow one delays few."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, connections

from audit import metrics
from audit.streams import delivery, progress, queries
from audit.streams.progress import Claim
from kernel import db
from kernel.acting import as_system
from kernel.tenancy import across_tenants

DELIVERERS: Final = 4
POLL_S: Final = 0.5
MEASURE_S: Final = 15.0
_AWAY_S: Final = 1.0
_log = structlog.get_logger("innkeeper.audit.streams")


def run_streams(stop: threading.Event) -> None:
    """Deliver until told to stop; what is being sent then is finished."""
    running: set[Future[None]] = set()
    measured = 0.0
    with ThreadPoolExecutor(DELIVERERS, thread_name_prefix="audit-stream") as pool:
        while not stop.is_set():
            running = {future for future in running if not future.done()}
            try:
                claims = _claim(DELIVERERS - len(running))
                if time.monotonic() >= measured:
                    _measure()
                    measured = time.monotonic() + MEASURE_S
            except (OperationalError, InterfaceError) as error:
                _log.warning("database.away", error=str(error).strip())
                connections["staff"].close()
                stop.wait(_AWAY_S)
                continue
            running |= {pool.submit(_deliver, held) for held in claims}
            if not claims:
                stop.wait(POLL_S)


def deliver_now(stream_id: UUID) -> int:
    """Deliver, here and now, what is due of one stream until all is there or nothing moves.

    Returns:
        How many places were delivered.
    """
    places = 0
    with db.use_alias("staff"), across_tenants():
        while claims := progress.claim(1, only=stream_id):
            moved = delivery.deliver(claims[0])
            if not moved:
                break
            places += moved
    return places


def _claim(slots: int) -> list[Claim]:
    if slots <= 0:
        return []
    with db.use_alias("staff"), across_tenants():
        return progress.claim(slots)


def _deliver(held: Claim) -> None:
    """Deliver in a thread of the pool: its context and connections are its own."""
    try:
        with as_system():
            delivery.deliver(held)
    except (OperationalError, InterfaceError) as error:
        # The lease runs out and the stream is claimed again.
        _log.warning("stream.interrupted", stream=str(held.stream_id), error=str(error).strip())
    finally:
        connections.close_all()


def _measure() -> None:
    with db.use_alias("staff"), across_tenants():
        state = queries.overview()
    for name, number in state.by_state.items():
        metrics.streams.labels(name).set(number)
    metrics.stream_lag_entries.set(state.most_waiting)
    metrics.stream_lag_seconds.set(state.longest_wait_s)
