"""Gathers the entries of a transaction and writes them as its last statement, in one INSERT.

Nearly every transaction has one entry with the openings of one person: that one goes through a
prepared statement. Measured (docs/adr/0114): parsing, planning and binding it anew each time was
two thirds of what an entry cost.
"""

from collections.abc import Sequence
from itertools import chain, groupby
from typing import Any, Final
from uuid import UUID

import orjson

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
_ESCAPED_NUL: Final = b"\\u0000"
_INSERT_BLOB: Final = "INSERT INTO audit_blob (event_id, tenant_id, body) VALUES (%s, %s, %s)"


class EntryBuffer:
    """The entries of one transaction; called by the kernel before COMMIT."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def __call__(self) -> None:
        """Write and forget the entries."""
        entries, self.entries = self.entries, []
        write(entries)


def write(entries: Sequence[Entry]) -> None:
    """Insert entries in the open transaction, each under its own tenant's fence."""
    if db.alias() != "default":
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


def _insert(entries: Sequence[Entry]) -> None:
    if len(entries) == 1 and _is_plain(entries[0]):
        _insert_one(entries[0])
    else:
        _insert_many(entries)


def _is_plain(entry: Entry) -> bool:
    """Tell whether the prepared statement can write it. U+0000 would cut a text value short."""
    return (
        len(entry.openings) <= 1
        and entry.blob is None
        and _ESCAPED_NUL not in entry.leaf
        and not any("\x00" in subject for subject in entry.openings)
    )


def _insert_one(entry: Entry) -> None:
    values: list[bytes | None] = [
        entry.id.bytes.hex().encode(),
        entry.tenant_id.bytes.hex().encode(),
        b"%d" % entry.stream,
        entry.occurred_at.isoformat().encode(),
        entry.action.encode(),
        entry.actor_type.encode(),
        entry.actor_id.encode(),
        entry.on_behalf_of.encode(),
        entry.target_type.encode(),
        entry.target_id.encode(),
        entry.outcome.encode(),
        entry.request_id.encode(),
        b"\\x" + entry.leaf.hex().encode(),
    ]
    if not entry.openings:
        db.prepared_row("audit_entry", _ONE, values)
        return
    ((subject, document),) = entry.openings.items()
    values += [subject.encode(), orjson.dumps(document)]
    db.prepared_row("audit_entry_opened", _ONE_OPENED, values)


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
