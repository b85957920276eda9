"""Gathers the entries of a transaction and writes them as its last statement, in one INSERT."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final
from uuid import UUID

import orjson

from audit.services.entry import Entry
from kernel import db
from kernel.tenancy import tenant_context, tenant_or_none

# Arrays keep the statement's text the same for any number of rows.
_INSERT_EVENTS: Final = """
INSERT INTO audit_event (id, tenant_id, stream, occurred_at, action, actor_type, actor_id,
                         on_behalf_of, target_type, target_id, outcome, request_id, leaf)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::smallint[], %s::timestamptz[], %s::text[], %s::text[],
                     %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bytea[])
"""
_INSERT_OPENINGS: Final = """
WITH openings AS (
  INSERT INTO audit_pii (event_id, subject_id, tenant_id, doc)
  SELECT * FROM unnest(%s::uuid[], %s::text[], %s::uuid[], %s::jsonb[])
)
"""
_INSERT_BLOBS: Final = """
INSERT INTO audit_blob (event_id, tenant_id, body)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bytea[])
"""


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
    statement, parameters = "", []
    openings = [
        (entry.id, subject, entry.tenant_id, orjson.dumps(document).decode())
        for entry in entries
        for subject, document in entry.openings.items()
    ]
    if openings:
        statement = _INSERT_OPENINGS
        parameters += _columns(openings)
    rows = [_row(entry) for entry in entries]
    with db.cursor() as cursor:
        cursor.execute(statement + _INSERT_EVENTS, [*parameters, *_columns(rows)])
        blobs = [
            (entry.id, entry.tenant_id, entry.blob) for entry in entries if entry.blob is not None
        ]
        if blobs:
            cursor.execute(_INSERT_BLOBS, _columns(blobs))


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


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
