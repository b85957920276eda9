"""Taking events: exactly once, in one statement, with their roll-ups, in the caller's transaction.

What is accepted is in the ledger and in every roll-up when the statement's transaction commits;
a repeat of (source, id) within the same scope changes nothing and is no error.
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, TypedDict
from uuid import UUID

from django.db.utils import DataError

from billing.usage.cloudevents import Event, invalid
from billing.usage.literals import array
from billing.usage.models import OPERATOR
from kernel import db
from kernel.errors import FieldError
from kernel.gate.wire import HotConnection, Statement, StatementError, hot, hot_staff
from kernel.ids import InvalidIdError, decode

_INGEST: Final = Statement(
    "usage_ingest",
    "SELECT billing_usage_ingest($1::uuid, $2::uuid, $3::uuid, $4::text[], $5::text[], $6::text[],"
    " $7::text[], $8::timestamptz[], $9::jsonb[], $10::text[], $11::uuid[])",
    parameters=11,
)
_INGEST_ONE: Final = Statement(
    "usage_ingest_one",
    "SELECT CASE billing_usage_ingest_one($1::uuid, $2::uuid, $3::uuid, $4, $5, $6, $7,"
    " $8::timestamptz, $9::jsonb, $10, $11::uuid) WHEN 1 THEN '{1}' ELSE '{}' END",
    parameters=11,
)
_INGEST_OF_MANY: Final = Statement(
    "usage_ingest_of_many",
    "SELECT billing_usage_take($1::uuid[], $2::uuid[], array_fill(NULL::uuid, ARRAY[$3::int]),"
    " $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::jsonb[], $10::text[],"
    " NULL)",
    parameters=10,
)
_LATE: Final = Statement(
    "usage_late",
    "SELECT billing_usage_too_late(array_fill($1::uuid, ARRAY[cardinality($2::timestamptz[])]),"
    " $2::timestamptz[])",
    parameters=2,
)
_LATE_BY_SUBJECT: Final = Statement(
    "usage_late_by_subject",
    "SELECT billing_usage_too_late(billing_usage_tenants($1::text[], $2::uuid[]),"
    " $3::timestamptz[])",
    parameters=3,
)
_NO_DATA: Final = "null"
LARGEST_EXPONENT: Final = 131_072
SMALLEST_SCALE: Final = 16_383
"""Digits before and after the point that PostgreSQL's numeric holds."""
TENANT_PREFIX: Final = "ten"
_DATA_EXCEPTION: Final = "22"
_ARCHIVED_MONTH: Final = "22A01"
"""Raised by billing_usage_refuse_late (sql/archive.sql)."""
ARCHIVED: Final = "archived"
TOO_LATE: Final = (
    "The event's month was archived: its events left the ledger, and with them what tells a new"
    " event from a repeat."
)
UNSTORABLE: Final = "The event holds a NUL character or a number that cannot be stored exactly."


class Reporter(TypedDict):
    """Who reports, as keyword arguments of :func:`ingest`."""

    tenant_id: UUID | None
    by_operator: bool
    key_id: UUID | None
    connection: HotConnection | None


def ingest(
    events: list[Event],
    *,
    tenant_id: UUID | None,
    by_operator: bool = False,
    key_id: UUID | None = None,
    connection: HotConnection | None = None,
) -> int:
    """Write events to the ledger and count them; return how many were new.

    Args:
        events: decoded and checked events.
        tenant_id: whose they are. None, for the operator only: the tenant of each event follows
            from its subject (attribution, tenant slug, tenant id) or is open until it is mapped.
        by_operator: the operator reports, on a connection of staff; (source, id) are then unique
            among all its events, so that a remapped subject does not double a repeat. Otherwise
            they are unique within the tenant, which the connection has set.
        key_id: the credential that reported them, kept with each event.
        connection: an autocommitting hot connection: the answer means committed. None: Django's
            connection of the current alias, in the open transaction if there is one.

    Raises:
        kernel.errors.Invalid: PostgreSQL cannot keep a value (NUL, a number beyond its range);
            nothing of the batch was written.
        kernel.errors.Unavailable: the database does not answer, or a lock was not to be had in
            time; whether the batch was written is unknown, and sending it again is safe.
    """
    new = ingest_each(
        events,
        tenant_id=tenant_id,
        by_operator=by_operator,
        key_id=key_id,
        connection=connection,
    )
    return len(new)


def ingest_each(
    events: list[Event],
    *,
    tenant_id: UUID | None,
    by_operator: bool = False,
    key_id: UUID | None = None,
    connection: HotConnection | None = None,
) -> set[int]:
    """Do what :func:`ingest` does; return the places, from 0, of the events that were new."""
    if not events:
        return set()
    scope = OPERATOR if by_operator or tenant_id is None else tenant_id
    write = _one if len(events) == 1 else _many
    try:
        statement, values = write(events, scope, tenant_id, key_id)
        if connection is not None:
            row = connection.row(statement, values)
        else:
            row = db.prepared_row(statement.name, statement.sql, values)
    except StatementError as error:
        if not error.sqlstate.startswith(_DATA_EXCEPTION):
            raise
        raise _refusal(events, error, tenant_id) from error
    except DataError as error:
        raise _refusal(events, error, tenant_id) from error
    return places(row[0] or b"{}")


def ingest_of_many(tenant_ids: Sequence[UUID], events: Sequence[Event]) -> int:
    """Write events of several tenants as the operator, in the open transaction of staff.

    ``tenant_ids`` names the tenant of each event. Otherwise as :func:`ingest`, for events that are
    known to be sound: what PostgreSQL says against one is raised as it is.
    """
    if not events:
        return 0
    many = len(events)
    values = [
        array([OPERATOR] * many),
        array(list(tenant_ids)),
        str(many).encode(),
        *columns(events),
    ]
    row = db.prepared_row(_INGEST_OF_MANY.name, _INGEST_OF_MANY.sql, values)
    return len(places(row[0] or b"{}"))


def places(raw: bytes) -> set[int]:
    """Read ``{1,2}``, places from 1, as a set of places from 0."""
    return {int(place) - 1 for place in raw[1:-1].split(b",")} if raw != b"{}" else set()


Call = tuple[Statement, list[bytes | None]]


def _one(events: list[Event], scope: UUID, tenant_id: UUID | None, key_id: UUID | None) -> Call:
    event = events[0]
    text = _text(event)
    hint = None if tenant_id else _tenant_id(event.subject)
    return _INGEST_ONE, [
        _uuid(scope),
        _uuid(tenant_id),
        _uuid(key_id),
        _bytes(event.id),
        _bytes(event.source),
        _bytes(event.type),
        _bytes(event.subject),
        None if event.time is None else event.time.isoformat().encode(),
        None if text is None else text.encode(),
        None if event.dataschema is None else _bytes(event.dataschema),
        _uuid(hint),
    ]


def _bytes(text: str) -> bytes:
    """Encode a text parameter; libpq ends one at a NUL, so such a text must not get there."""
    if "\0" in text:
        raise DataError("NUL in text")
    return text.encode()


def _many(events: list[Event], scope: UUID, tenant_id: UUID | None, key_id: UUID | None) -> Call:
    return _INGEST, [
        _uuid(scope),
        _uuid(tenant_id),
        _uuid(key_id),
        *columns(events),
        None if tenant_id else hints(events),
    ]


def columns(events: Sequence[Event]) -> list[bytes | None]:
    """Write events as seven array literals: id, source, type, subject, time, data, schema."""
    schemas = [event.dataschema for event in events]
    return [
        array([event.id for event in events]),
        array([event.source for event in events]),
        array([event.type for event in events]),
        array([event.subject for event in events]),
        array([event.time for event in events]),
        array([_text(event) for event in events]),
        array(schemas) if any(schemas) else None,
    ]


def hints(events: Sequence[Event]) -> bytes:
    """Write the tenants whose ids the subjects are, as an array literal with gaps."""
    return array([_tenant_id(event.subject) for event in events])


def _uuid(value: UUID | None) -> bytes | None:
    return None if value is None else str(value).encode()


def _text(event: Event) -> str | None:
    text = bytes(event.data).decode()
    return None if text == _NO_DATA else text


def _tenant_id(subject: str) -> UUID | None:
    try:
        return decode(TENANT_PREFIX, subject)
    except InvalidIdError:
        return None


def _refusal(events: list[Event], error: Exception, tenant_id: UUID | None) -> Exception:
    """Name the events that cannot be kept; PostgreSQL's own error where none is found guilty."""
    cause = error.__cause__ if isinstance(error, DataError) else error
    if getattr(cause, "sqlstate", "") == _ARCHIVED_MONTH:
        guilty, code, message = _late(events, tenant_id), ARCHIVED, TOO_LATE
    else:
        guilty = [place for place, event in enumerate(events) if not storable(event)]
        code, message = "unstorable", UNSTORABLE
    faults = [FieldError(f"/{place}", code, message) for place in guilty]
    return invalid(faults) if faults else error


def _late(events: list[Event], tenant_id: UUID | None) -> list[int]:
    """Look up which events fall into months that were archived. The first refusal names none."""
    moments = array([event.time for event in events])
    if tenant_id is None:
        subjects = array([event.subject for event in events])
        row = hot_staff().row(_LATE_BY_SUBJECT, [subjects, hints(events), moments])
    else:
        row = hot().row(_LATE, [_uuid(tenant_id), moments])
    return sorted(places(row[0] or b"{}"))


def storable(event: Event) -> bool:
    """Tell whether text and jsonb can hold the event: no NUL, numbers within numeric's range."""
    texts = [event.id, event.source, event.type, event.subject, event.dataschema or ""]
    numbers: list[str] = []

    def note(text: str) -> int:
        numbers.append(text)
        return 0

    data = json.loads(bytes(event.data), parse_float=note, parse_int=note)
    texts.append(json.dumps(data, ensure_ascii=False).replace("\\u0000", "\0"))
    return not any("\0" in text for text in texts) and all(map(_in_range, numbers))


def _in_range(text: str) -> bool:
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    return number.adjusted() < LARGEST_EXPONENT and (
        isinstance(exponent, int) and exponent > -SMALLEST_SCALE
    )
