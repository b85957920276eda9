"""Gathers the entries of a transaction and writes them as its last statement, in one INSERT.

Nearly every transaction has one entry with the openings of one person: that one goes through a
prepared statement (docs/adr/0114), in binary and in one round trip with the COMMIT (docs/adr/0122).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby
from struct import Struct
from typing import Any, Final
from uuid import UUID

import orjson

from audit.models import Stream
from audit.services.entry import Entry
from kernel import db
from kernel.tenancy import tenant_context, tenant_or_none

# Rows of VALUES, not arrays: the driver writes thirteen one-element arrays four times slower.
_INSERT_EVENTS: Final = """
INSERT INTO audit_event (id, tenant_id, stream, occurred_at, action, actor_type, actor_id,
                         on_behalf_of, target_type, target_id, outcome, request_id, leaf)
VALUES """
_EVENT: Final = "(%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s)"
_INSERT_OPENINGS: Final = """
WITH openings AS (INSERT INTO audit_pii (event_id, subject_id, tenant_id, doc) VALUES {})
"""
_OPENING: Final = "(%s,%s,%s,%s)"
_COLUMNS: Final = (
    "uuid", "uuid", "smallint", "timestamptz", "text", "text", "text", "text", "text", "text",
    "text", "text", "bytea",
)  # fmt: skip
_ONE: Final = _INSERT_EVENTS + "({})".format(
    ",".join(f"${number}::{kind}" for number, kind in enumerate(_COLUMNS, 1))
)
_ONE_OPENED: Final = _INSERT_OPENINGS.format("($1::uuid,$14::text,$2::uuid,$15::jsonb)") + _ONE
# PostgreSQL's binary forms: smallint, and microseconds since 2000 for timestamptz.
_STREAMS: Final = {int(one): int(one).to_bytes(2, "big") for one in Stream}
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_moment: Final = Struct("!q").pack
_INSERT_BLOB: Final = "INSERT INTO audit_blob (event_id, tenant_id, body) VALUES (%s, %s, %s)"


class EntryBuffer:
    """The entries of one transaction; called by the kernel before COMMIT."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def __call__(self) -> None:
        """Write and forget the entries; a single one goes out with the COMMIT."""
        entries, self.entries = self.entries, []
        if len(entries) == 1 and _is_plain(entries[0]) and _is_at_home(entries[0]):
            db.prepared_last(*_statement(entries[0]))
        else:
            write(entries)


def write(entries: Sequence[Entry]) -> None:
    """Insert entries in the open transaction, each under its own tenant's fence."""
    if all(map(_is_at_home, entries)):
        _insert(entries)
        return
    for tenant, group in groupby(sorted(entries, key=_tenant), key=_tenant):
        if tenant == tenant_or_none():
            _insert(list(group))
        else:
            with tenant_context(tenant):
                _insert(list(group))


def _tenant(entry: Entry) -> UUID:
    return entry.tenant_id


def _is_at_home(entry: Entry) -> bool:
    """Tell whether the fence of the running code lets the entry in."""
    return entry.tenant_id == tenant_or_none() or db.alias() != "default"


def _insert(entries: Sequence[Entry]) -> None:
    if len(entries) == 1 and _is_plain(entries[0]):
        db.prepared_row(*_statement(entries[0]))
    else:
        _insert_many(entries)


def _is_plain(entry: Entry) -> bool:
    """Tell whether the prepared statement can write it."""
    return len(entry.openings) <= 1 and entry.blob is None


def _statement(entry: Entry) -> db.Statement:
    """Return name, text and values in binary; texts may then hold U+0000, which is refused."""
    values: list[bytes | None] = [
        entry.id.bytes,
        entry.tenant_id.bytes,
        _STREAMS[entry.stream],
        _moment((entry.occurred_at - _EPOCH) // _MICROSECOND),
        entry.action.encode(),
        entry.actor_type.encode(),
        entry.actor_id.encode(),
        entry.on_behalf_of.encode(),
        entry.target_type.encode(),
        entry.target_id.encode(),
        entry.outcome.encode(),
        entry.request_id.encode(),
        entry.leaf,
    ]
    if not entry.openings:
        return "audit_entry", _ONE, values, True
    ((subject, document),) = entry.openings.items()
    values += [subject.encode(), b"\x01" + orjson.dumps(document)]
    return "audit_entry_opened", _ONE_OPENED, values, True


def _insert_many(entries: Sequence[Entry]) -> None:
    statement = ""
    parameters: list[Any] = []
    openings = [
        (entry.id, subject, entry.tenant_id, orjson.dumps(document).decode())
        for entry in entries
        for subject, document in entry.openings.items()
    ]
    if openings:
        statement = _INSERT_OPENINGS.format(",".join([_OPENING] * len(openings)))
        parameters += chain.from_iterable(openings)
    statement += _INSERT_EVENTS + ",".join([_EVENT] * len(entries))
    parameters += chain.from_iterable(_row(entry) for entry in entries)
    with db.cursor() as cursor:
        cursor.execute(statement, parameters)
        for entry in entries:
            if entry.blob is not None:
                cursor.execute(_INSERT_BLOB, [entry.id, entry.tenant_id, entry.blob])


def _row(entry: Entry) -> tuple[object, ...]:
    return (
        entry.id,
        entry.tenant_id,
        entry.stream,
        entry.occurred_at,
        entry.action,
        entry.actor_type,
        entry.actor_id,
        entry.on_behalf_of,
        entry.target_type,
        entry.target_id,
        entry.outcome,
        entry.request_id,
        entry.leaf,
    )
