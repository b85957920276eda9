"""How far the background work is: heartbeats, outbox and queue, read as staff."""

from dataclasses import dataclass

from kernel import db

_BEATS = """
SELECT service, bool_or(alive), max(restarts),
       extract(epoch FROM clock_timestamp() - max(at))::float8
  FROM kernel_heartbeat
 WHERE at > clock_timestamp() - make_interval(secs => %s)
 GROUP BY service ORDER BY service
"""
_OUTBOX = """
SELECT count(*) FILTER (WHERE dead_at IS NULL),
       greatest(0, coalesce(extract(epoch FROM clock_timestamp() - min(available_at)
                                    FILTER (WHERE dead_at IS NULL)), 0))::float8,
       count(*) FILTER (WHERE dead_at IS NOT NULL)
  FROM kernel_outbox WHERE delivered_at IS NULL
"""
_QUEUE = """
SELECT count(*) FILTER (WHERE status = 'todo'
                          AND (scheduled_at IS NULL OR scheduled_at <= clock_timestamp())),
       count(*) FILTER (WHERE status = 'doing'),
       count(*) FILTER (WHERE status = 'failed')
  FROM procrastinate_jobs WHERE status IN ('todo', 'doing', 'failed')
"""


@dataclass(frozen=True, slots=True)
class Beat:
    """A service as its worker last reported it; alive if it is in any of several workers."""

    service: str
    alive: bool
    restarts: int
    age_s: float


@dataclass(frozen=True, slots=True)
class Outbox:
    """Events not delivered: how many, how long the oldest is due, how many were given up."""

    waiting: int
    oldest_s: float
    dead: int


@dataclass(frozen=True, slots=True)
class Queue:
    """Jobs that could run now, that run, and that failed for good."""

    due: int
    running: int
    failed: int


def beats(within_s: float) -> list[Beat]:
    """List the services that reported within so many seconds."""
    with db.cursor() as cursor:
        cursor.execute(_BEATS, [within_s])
        return [Beat(*row) for row in cursor.fetchall()]


def outbox() -> Outbox:
    """Measure the outbox."""
    with db.cursor() as cursor:
        cursor.execute(_OUTBOX)
        return Outbox(*cursor.fetchone())


def queue() -> Queue:
    """Measure the job queue."""
    with db.cursor() as cursor:
        cursor.execute(_QUEUE)
        return Queue(*cursor.fetchone())
