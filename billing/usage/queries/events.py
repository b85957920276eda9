"""Listing events: newest first, with the reason of those that do not count."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.usage.filters import Condition
from kernel import db
from kernel.tenancy import tenant_or_none

# Faults are told by today's meters: an event is explained anew when a meter is made or mended.
_SELECT: Final = """
SELECT event.id, event.source, event.type, event.subject, event.time, event.data,
       event.dataschema, event.tenant_id, event.ingested_at, event.seq,
       CASE WHEN amended.kind = 'void' THEN 'void: ' || amended.reason
         WHEN event.time > event.ingested_at + interval '5 minutes'
         THEN 'invalid event: time is in the future'
         ELSE (SELECT billing_usage_fault(meter.aggregation, meter.value_property, held.data,
                                          held.data #> meter.value_path)
               FROM billing_meter AS meter
               WHERE meter.event_type = event.type AND meter.deleted_at IS NULL
                 AND (meter.scope = '00000000-0000-0000-0000-000000000000'
                      OR meter.scope = event.tenant_id)
                 AND meter.aggregation <> 'COUNT' AND meter.origin = 'events'
                 AND billing_usage_fault(meter.aggregation, meter.value_property, held.data,
                                         held.data #> meter.value_path) IS NOT NULL
               ORDER BY meter.created_at LIMIT 1) END AS fault
FROM billing_usage_event AS event
LEFT JOIN LATERAL (
  SELECT kind, data, reason FROM billing_usage_amendment AS amendment
  WHERE amendment.tenant_id = event.tenant_id AND amendment.event_seq = event.seq
  ORDER BY amendment.id DESC LIMIT 1
) AS amended ON true
CROSS JOIN LATERAL (SELECT coalesce(amended.data, event.data) AS data) AS held
WHERE true
"""
TEXTS: Final = {
    "id": "event.id", "source": "event.source", "subject": "event.subject", "type": "event.type",
}  # fmt: skip
TIMES: Final = {"time": "event.time", "ingestedAt": "event.ingested_at"}
"""Columns that conditions may be on, by OpenMeter's names."""
# What separates the texts is in none of them.
_TEXT: Final = (
    "concat_ws(E'\\n', event.id, event.source, event.type, event.subject, event.data::text)"
)
_LISTED: Final = "SELECT * FROM ({}) AS event WHERE event.fault"
_NEWEST_FIRST: Final = " ORDER BY event.time DESC, event.seq DESC LIMIT %(limit)s"
_OLDEST_FIRST: Final = " ORDER BY event.time, event.seq"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to list. Times are half open; ``id``, ``source`` and ``subject`` match any part, in any
    case, ``text`` any part of these, of the type and of the data as JSON; ``type`` matches exactly.
    ``faulty`` lists only what does not count, or, if false, only what does.

    ``conditions`` are further ones on columns of TEXTS and TIMES; ``before`` is the place (time and
    sequence) of the last event of the page before.
    """

    limit: int
    start: datetime | None = None
    end: datetime | None = None
    ingested_start: datetime | None = None
    ingested_end: datetime | None = None
    id: str | None = None
    source: str | None = None
    type: str | None = None
    subject: str | None = None
    text: str | None = None
    faulty: bool | None = None
    tenants: Sequence[UUID] = field(default_factory=tuple)
    conditions: Sequence[tuple[str, Condition]] = field(default_factory=tuple)
    before: tuple[datetime, int] | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One event, whose it is, why it does not count (None if it does). ``data`` is JSON text."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    data: str | None
    dataschema: str | None
    tenant_id: UUID | None
    ingested_at: datetime
    seq: int
    fault: str | None


def search(wanted: Search) -> list[Listed]:
    """List events, newest first."""
    statement, parameters = _written(wanted)
    with db.cursor() as cursor:
        cursor.execute(statement + _NEWEST_FIRST, parameters | {"limit": wanted.limit})
        return [Listed(*row) for row in cursor.fetchall()]


def written(wanted: Search) -> tuple[str, dict[str, Any]]:
    """Write the statement of all events of a search, oldest first; there is no limit."""
    statement, parameters = _written(wanted)
    return statement + _OLDEST_FIRST, parameters


def _written(wanted: Search) -> tuple[str, dict[str, Any]]:
    parameters: dict[str, Any] = {}
    conditions = [_SELECT]
    tenant = tenant_or_none()
    tenants = list(wanted.tenants) or ([] if tenant is None else [tenant])
    for column, operator, name, value in (
        ("event.time", ">=", "start", wanted.start),
        ("event.time", "<", "end", wanted.end),
        ("event.ingested_at", ">=", "ingested_start", wanted.ingested_start),
        ("event.ingested_at", "<", "ingested_end", wanted.ingested_end),
        ("event.type", "=", "type", wanted.type or None),
        ("event.id", "ILIKE", "id", _part(wanted.id)),
        ("event.source", "ILIKE", "source", _part(wanted.source)),
        ("event.subject", "ILIKE", "subject", _part(wanted.subject)),
        (_TEXT, "ILIKE", "text", _part(wanted.text)),
    ):
        if value is not None:
            conditions.append(f"AND {column} {operator} %({name})s")
            parameters[name] = value
    for name, condition in wanted.conditions:
        written = condition.sql(TEXTS.get(name) or TIMES[name], parameters)
        conditions.append(f"AND {written}")
    if wanted.before is not None:
        conditions.append("AND (event.time, event.seq) < (%(before)s, %(seq)s)")
        parameters["before"], parameters["seq"] = wanted.before
    if tenants:
        conditions.append("AND event.tenant_id = ANY (%(tenants)s)")
        parameters["tenants"] = tenants
    statement = " ".join(conditions)
    if wanted.faulty is not None:
        what = "IS NOT NULL" if wanted.faulty else "IS NULL"
        statement = f"{_LISTED.format(statement)} {what}"
    return statement, parameters


def _part(text: str | None) -> str | None:
    """Make a pattern that finds the text anywhere, its wildcards taken literally."""
    if not text:
        return None
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
