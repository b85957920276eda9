"""What may be pruned now: log by log, whole months that are older than the rule, nothing held."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from audit.actions import PII_ERASED
from audit.models import HEADS_STREAM, Stream
from audit.pruning import ranges
from audit.pruning.ranges import Ranges
from audit.queries import retention
from kernel import db

_TENANTS_AT_ONCE: Final = 500
_LOGS: Final = """
SELECT h.log_id, h.tenant_id, h.stream, h.origin, h.size, coalesce(p.upto, 0), p.ranges
FROM audit_head h LEFT JOIN audit_pruned p USING (log_id)
WHERE h.stream <> %s AND h.size > 0 AND h.tenant_id = ANY (%s)
ORDER BY h.tenant_id, h.stream, h.epoch
"""
# Only what has ended before the cut: the first younger place ends what may go.
_FIRST_YOUNGER: Final = """
SELECT leaf_index FROM audit_leaf
WHERE log_id = %s AND leaf_index >= %s AND recorded_at >= %s ORDER BY leaf_index LIMIT 1
"""
# An erasure is the proof for values that are gone from entries which a hold keeps.
_STAY: Final = """
SELECT l.leaf_index FROM audit_leaf l
JOIN audit_event e ON e.id = l.event_id AND e.recorded_at = l.recorded_at
WHERE l.log_id = %s AND l.leaf_index >= %s AND l.leaf_index < %s
  AND (l.recorded_at >= %s OR audit_held(e)
       OR l.event_id IN (SELECT p.event_id FROM audit_pruned p WHERE p.tenant_id = e.tenant_id)
       OR (e.action = %s AND e.stream = %s AND EXISTS (
             SELECT 1 FROM audit_hold h WHERE h.tenant_id = e.tenant_id AND h.released_at IS NULL)))
"""
_MONTHS: Final = """
SELECT DISTINCT date_trunc('month', recorded_at AT TIME ZONE 'UTC')::date FROM audit_leaf
WHERE log_id = %s AND leaf_index >= %s AND leaf_index < %s ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Log:
    """A log with what has been pruned of it."""

    log_id: UUID
    tenant_id: UUID
    stream: int
    origin: str
    size: int
    upto: int
    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be pruned of one log: `fresh` places, so that `ranges` are pruned in all."""

    log: Log
    upto: int
    fresh: Ranges
    ranges: Ranges
    months: tuple[date, ...]

    @property
    def entries(self) -> int:
        """Return how many entries lose their bytes."""
        return ranges.count(self.fresh)


def cut(days: int, now: datetime) -> datetime:
    """Return the beginning of the month in which an entry is just old enough: older months go."""
    edge = (now - timedelta(days=days)).astimezone(UTC)
    return datetime(edge.year, edge.month, 1, tzinfo=UTC)


def steps(tenant_id: UUID | None, now: datetime) -> Iterator[Step]:
    """Go through the logs (of one tenant) from which something is to go. Runs across tenants."""
    for tenants in _batches(_tenants(tenant_id)):
        rules = retention.rules_of(tenants)
        held = retention.held_wholly(tenants)
        limits = {
            one: cut(days, now)
            for one in tenants
            if one not in held and (days := rules[one].days) is not None
        }
        for log in _logs(list(limits)):
            if (step := step_of(log, limits[log.tenant_id])) is not None:
                yield step


def everything(tenant_id: UUID, now: datetime) -> Iterator[Step]:
    """Go through all that a tenant has in ended months: for one who has left."""
    if tenant_id in retention.held_wholly([tenant_id]):
        return
    for log in _logs([tenant_id]):
        if (step := step_of(log, cut(0, now))) is not None:
            yield step


def step_of(log: Log, before: datetime) -> Step | None:
    """Return what of a log is to go that was recorded before a time; None for nothing."""
    with db.cursor() as cursor:
        cursor.execute(_FIRST_YOUNGER, [log.log_id, log.upto, before])
        row = cursor.fetchone()
        upto = max(log.upto, row[0] if row else log.size)
        candidates = ranges.without([(0, upto)], log.ranges)
        if not candidates:
            return None
        first, past = candidates[0][0], candidates[-1][1]
        cursor.execute(_STAY, [log.log_id, first, past, before, PII_ERASED.name, Stream.PLATFORM])
        stay = ranges.singles(row[0] for row in cursor.fetchall())
        fresh = ranges.without(candidates, stay)
        if not fresh:
            return None
        cursor.execute(_MONTHS, [log.log_id, fresh[0][0], fresh[-1][1]])
        months = tuple(row[0] for row in cursor.fetchall() if row[0] < before.date())
    return Step(log, fresh[-1][1], fresh, ranges.union(log.ranges, fresh), months)


def _tenants(tenant_id: UUID | None) -> list[UUID]:
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT tenant_id FROM audit_head "
            "WHERE %s::uuid IS NULL OR tenant_id = %s ORDER BY 1",
            [tenant_id, tenant_id],
        )
        return [row[0] for row in cursor.fetchall()]


def _batches(tenants: Sequence[UUID]) -> Iterator[list[UUID]]:
    for start in range(0, len(tenants), _TENANTS_AT_ONCE):
        yield list(tenants[start : start + _TENANTS_AT_ONCE])


def _logs(tenants: list[UUID]) -> list[Log]:
    with db.cursor() as cursor:
        cursor.execute(_LOGS, [HEADS_STREAM, tenants])
        return [_log(row) for row in cursor.fetchall()]


def _log(row: tuple[Any, ...]) -> Log:
    pairs = tuple((one.lower, one.upper) for one in row[6] or ())
    return Log(row[0], row[1], row[2], row[3], row[4], row[5], pairs)
