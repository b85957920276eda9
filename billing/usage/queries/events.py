"""Listing events: newest first, with the reason of those that do not count."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.usage.filters import Condition
from kernel import db
from kernel.tenancy import tenant_or_none

# Faults are told by today's meters: an event is explained anew when a meter is made or mended.
EXPLAINED: Final = """
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
FROM {} AS event
LEFT JOIN LATERAL (
  SELECT kind, data, reason FROM billing_usage_amendment AS amendment
  WHERE amendment.tenant_id = event.tenant_id AND amendment.event_seq = event.seq
  ORDER BY amendment.id DESC LIMIT 1
) AS amended ON true
CROSS JOIN LATERAL (SELECT coalesce(amended.data, event.data) AS data) AS held
WHERE true
"""
"""Events of a relation like the ledger, each with why it does not count."""
TEXTS: Final = {
    "id": "event.id", "source": "event.source", "subject": "event.subject", "type": "event.type",
}  # fmt: skip
TIMES: Final = {"time": "event.time", "ingestedAt": "event.ingested_at"}
"""Columns that conditions may be on, by OpenMeter's names."""
_TEXT: Final = (
    "concat_ws(E'\\n', event.id, event.source, event.type, event.subject, event.data::text)"
)
_LISTED: Final = "SELECT * FROM ({}) AS event WHERE event.fault"
_EVENTS: Final = "billing_usage_event"
_LOOKED_AT: Final = "(SELECT * FROM {events} AS event WHERE {within}{order} LIMIT {many})"
_LAST_LOOKED_AT: Final = (
    "SELECT event.time, event.seq FROM {events} AS event WHERE {within}{order}"
    " OFFSET {many} - 1 LIMIT 1"
)
_FOUND: Final = " AND (event.time, event.seq) IN (SELECT * FROM billing_usage_find(%(whole_id)s))"
_NEWEST_FIRST: Final = " ORDER BY event.time DESC, event.seq DESC"
_OLDEST_FIRST: Final = " ORDER BY event.time, event.seq"
LOOKED_AT: Final = 200_000
"""How many events, the newest of the range, a filtered list looks at. No index holds what may be
found anywhere in a text: one over every event would cost ingest more than all else that it does."""
READ: Final = 20_000
"""The same where it must read their data."""


Place = tuple[datetime, int]
"""Time and sequence of an event: where it stands in the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to list. Times are half open; ``id``, ``source`` and ``subject`` match any part, in any
    case, ``text`` any part of these, of the type and of the data as JSON; ``type`` matches exactly.
    ``faulty`` lists only what does not count, or, if false, only what does.

    ``conditions`` are further ones on columns of TEXTS and TIMES; ``before`` is the place (time and
    sequence) of the last event of the page before. ``oldest`` is what ``start`` is for an event
    whose whole id was given: that one is found at any age unless the caller bounds it.
    """

    limit: int
    start: datetime | None = None
    oldest: datetime | None = None
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
    before: Place | None = None

    @property
    def looks_at(self) -> int | None:
        """Give how many events it may look at; None where the order of the list leads to all."""
        if self.text or self.faulty is not None:
            return READ
        sifted = self.id or self.source or self.type or self.subject or self.conditions
        return LOOKED_AT if sifted else None


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


@dataclass(frozen=True, slots=True)
class Found:
    """Events, newest first; ``looked_to`` is the last one looked at where there are more."""

    events: list[Listed]
    looked_to: Place | None = None


def search(wanted: Search) -> Found:
    """List events, newest first, those with the whole id that was asked for first of all."""
    exact = _whole_id(wanted) if wanted.id and tenant_or_none() is not None else []
    many = wanted.looks_at
    parameters: dict[str, Any] = {"limit": wanted.limit}
    within = _within(wanted, parameters)
    if many is not None:
        places = {"events": _EVENTS, "within": within, "order": _NEWEST_FIRST, "many": many}
        statement = _statement(wanted, _LOOKED_AT.format(**places), "true", parameters)
    else:
        statement = _statement(wanted, _EVENTS, within, parameters)
    with db.cursor() as cursor:
        cursor.execute(f"{statement}{_NEWEST_FIRST} LIMIT %(limit)s", parameters)
        listed = [Listed(*row) for row in cursor.fetchall()]
        looked_to: Place | None = None
        if many is not None and len(listed) < wanted.limit:
            cursor.execute(_LAST_LOOKED_AT.format(**places), parameters)
            looked_to = cursor.fetchone()
    known = {event.seq for event in exact}
    both = exact + [event for event in listed if event.seq not in known]
    events = sorted(both[: wanted.limit], key=lambda event: (event.time, event.seq), reverse=True)
    return Found(events, looked_to)


def written(wanted: Search) -> tuple[str, dict[str, Any]]:
    """Write the statement of all events of a search, oldest first; there is no limit."""
    parameters: dict[str, Any] = {}
    within = _within(wanted, parameters)
    return _statement(wanted, _EVENTS, within, parameters) + _OLDEST_FIRST, parameters


def _whole_id(wanted: Search) -> list[Listed]:
    """Look an id up that may be a whole one."""
    parameters: dict[str, Any] = {"whole_id": wanted.id, "limit": wanted.limit}
    within = _within(replace(wanted, start=wanted.oldest), parameters) + _FOUND
    statement = _statement(replace(wanted, id=None), _EVENTS, within, parameters)
    with db.cursor() as cursor:
        cursor.execute(f"{statement}{_NEWEST_FIRST} LIMIT %(limit)s", parameters)
        return [Listed(*row) for row in cursor.fetchall()]


def _within(wanted: Search, parameters: dict[str, Any]) -> str:
    """Write the conditions that the index of the tenant's events leads to."""
    conditions = ["true"]
    tenant = tenant_or_none()
    tenants = list(wanted.tenants) or ([] if tenant is None else [tenant])
    for column, operator, name, value in (
        ("event.time", ">=", "start", wanted.start),
        ("event.time", "<", "end", wanted.end),
    ):
        if value is not None:
            conditions.append(f"{column} {operator} %({name})s")
            parameters[name] = value
    if wanted.before is not None:
        conditions.append("(event.time, event.seq) < (%(before)s, %(seq)s)")
        parameters["before"], parameters["seq"] = wanted.before
    if len(tenants) == 1:  # an equality keeps the order of the index
        conditions.append("event.tenant_id = %(tenant)s")
        parameters["tenant"] = tenants[0]
    elif tenants:
        conditions.append("event.tenant_id = ANY (%(tenants)s)")
        parameters["tenants"] = tenants
    return " AND ".join(conditions)


def _statement(wanted: Search, source: str, within: str, parameters: dict[str, Any]) -> str:
    """Write the statement of a search over a source, and what sifts it."""
    conditions = [EXPLAINED.format(source), "AND", within]
    for column, operator, name, value in (
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
    statement = " ".join(conditions)
    if wanted.faulty is not None:
        what = "IS NOT NULL" if wanted.faulty else "IS NULL"
        statement = f"{_LISTED.format(statement)} {what}"
    return statement


def _part(text: str | None) -> str | None:
    """Make a pattern that finds the text anywhere, its wildcards taken literally."""
    if not text:
        return None
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
