"""Streams with their health: what waits, since when, and what went wrong last."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from audit.streams.models import AnchorState, LogStream
from audit.streams.progress import LOGS
from kernel import db
from kernel.errors import NotFound

_HEALTH: Final = f"""
SELECT t.stream_id, t.delivered, t.failures, t.failing_since, t.last_error, t.last_success_at,
       t.tested_at, t.test_outcome, w.waiting, w.since
  FROM audit_stream s JOIN audit_stream_state t ON t.stream_id = s.id, LATERAL (
       SELECT coalesce(sum(h.size - h.first), 0)::bigint AS waiting, min(l.recorded_at) AS since
         FROM (SELECT h.log_id, h.size, coalesce(c.next_index, 0) AS first FROM {LOGS}
                  AND h.size > coalesce(c.next_index, 0)) h
         LEFT JOIN audit_leaf l ON l.log_id = h.log_id AND l.leaf_index = h.first) w
 WHERE s.id = ANY (%s::uuid[])
"""  # noqa: S608 - constants
_OVERVIEW: Final = f"""
SELECT CASE WHEN s.status = 'paused' THEN 'paused' WHEN t.failures > 0 THEN 'failing'
       ELSE 'healthy' END AS state, count(*), max(w.waiting), max(w.age)
  FROM audit_stream s JOIN audit_stream_state t ON t.stream_id = s.id, LATERAL (
       SELECT coalesce(sum(h.size - h.first), 0)::bigint AS waiting,
              coalesce(extract(epoch FROM clock_timestamp() - min(l.recorded_at)), 0)::float8 AS age
         FROM (SELECT h.log_id, h.size, coalesce(c.next_index, 0) AS first FROM {LOGS}
                  AND h.size > coalesce(c.next_index, 0)) h
         LEFT JOIN audit_leaf l ON l.log_id = h.log_id AND l.leaf_index = h.first) w
 GROUP BY state
"""  # noqa: S608 - constants
STATES: Final = ("healthy", "failing", "paused")


@dataclass(frozen=True, slots=True)
class Health:
    """How a stream fares: places delivered and waiting, the oldest waiting entry's time."""

    delivered: int
    failures: int
    failing_since: datetime | None
    last_error: str
    last_success_at: datetime | None
    tested_at: datetime | None
    test_outcome: str
    waiting: int
    waiting_since: datetime | None


@dataclass(frozen=True, slots=True)
class Overview:
    """All streams: how many in each state, and the worst lag of those that are not paused."""

    by_state: dict[str, int]
    most_waiting: int
    longest_wait_s: float


def listed(owner: UUID) -> QuerySet[LogStream]:
    """Give an owner's streams."""
    return LogStream.objects.filter(tenant_id=owner)


def by_id(owner: UUID, stream_id: UUID) -> LogStream:
    """Give one stream of an owner.

    Raises:
        kernel.errors.NotFound: it has none of this id.
    """
    found = listed(owner).filter(id=stream_id).first()
    if found is None:
        raise NotFound("There is no such stream.", code="stream_not_found")
    return found


def health_of(streams: Sequence[LogStream]) -> dict[UUID, Health]:
    """Give the health of streams by one statement."""
    if not streams:
        return {}
    with db.cursor() as cursor:
        cursor.execute(_HEALTH, [[stream.id for stream in streams]])
        return {row[0]: Health(*row[1:]) for row in cursor.fetchall()}


def overview() -> Overview:
    """Sum up all streams, for metrics and the doctor; as staff."""
    with db.cursor() as cursor:
        cursor.execute(_OVERVIEW)
        rows = cursor.fetchall()
    active = [row for row in rows if row[0] != "paused"]
    counts = dict.fromkeys(STATES, 0) | {row[0]: row[1] for row in rows}
    return Overview(
        counts,
        max((row[2] for row in active), default=0),
        max((row[3] for row in active), default=0.0),
    )


def anchors() -> list[AnchorState]:
    """Give the state of every configured anchor of the instance; as staff."""
    return list(AnchorState.objects.all())
