"""Reads what is stored, in batches, as the role ``sealer``, which sees every tenant."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from kernel import db

BATCH: Final = 5_000

_LEAVES: Final = """
SELECT l.leaf_index, l.leaf_hash, l.event_id::text, e.leaf, e.leaf_hash, e.tenant_id::text,
       e.stream, to_char(e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
       e.action, e.actor_type, e.actor_id, e.on_behalf_of, e.target_type, e.target_id, e.outcome,
       e.request_id,
       (SELECT encode(sha256(b.body), 'hex') FROM audit_blob b WHERE b.event_id = l.event_id)
FROM audit_leaf l
LEFT JOIN audit_event e ON e.id = l.event_id AND e.recorded_at = l.recorded_at
WHERE l.log_id = %s AND l.leaf_index >= %s
ORDER BY l.leaf_index LIMIT %s
"""
_HEADS_LEAVES: Final = """
SELECT l.leaf_index, l.leaf_hash, l.event_id, e.leaf, e.log_id, e.size, e.root
FROM audit_leaf l LEFT JOIN audit_heads_entry e ON e.id = l.event_id
WHERE l.log_id = %s AND l.leaf_index >= %s
ORDER BY l.leaf_index LIMIT %s
"""
_OPENINGS: Final = """
SELECT event_id::text, doc::text FROM audit_pii
WHERE event_id = ANY (string_to_array(%s, ',')::uuid[])
"""
_UNSEALED: Final = """
SELECT e.id FROM audit_event e
WHERE e.tenant_id = %s AND e.stream = %s AND e.recorded_at < now() - make_interval(secs => %s)
  AND NOT EXISTS (SELECT 1 FROM audit_leaf l WHERE l.event_id = e.id)
LIMIT 100
"""


@dataclass(frozen=True, slots=True)
class StoredHead:
    """A log's head as it is stored."""

    log_id: UUID
    tenant_id: UUID
    stream: int
    epoch: int
    origin: str
    size: int
    root: bytes
    frontier: list[bytes]


@dataclass(frozen=True, slots=True)
class StoredNote:
    """A checkpoint as it is stored."""

    size: int
    root: bytes
    note: str


def heads(tenant_id: UUID | None) -> list[StoredHead]:
    """Return the heads of all logs, or of one tenant's."""
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT log_id, tenant_id, stream, epoch, origin, size, root, frontier FROM audit_head "
            "WHERE %s::uuid IS NULL OR tenant_id = %s ORDER BY tenant_id, stream, epoch",
            [tenant_id, tenant_id],
        )
        return [_head(row) for row in cursor.fetchall()]


def _head(row: tuple[Any, ...]) -> StoredHead:
    frontier = [bytes(one) for one in row[7]]
    return StoredHead(row[0], row[1], row[2], row[3], row[4], row[5], bytes(row[6]), frontier)


def place(event_id: UUID) -> tuple[UUID, int] | None:
    """Return log and leaf index of an entry; None when it is not sealed."""
    with db.cursor() as cursor:
        cursor.execute("SELECT log_id, leaf_index FROM audit_leaf WHERE event_id = %s", [event_id])
        row = cursor.fetchone()
    return (row[0], row[1]) if row else None


def leaves(
    log_id: UUID, start: int, *, of_heads: bool = False, batch: int = BATCH
) -> Iterator[list[tuple[Any, ...]]]:
    """Go through the stored places from `start` on, in batches."""
    statement = _HEADS_LEAVES if of_heads else _LEAVES
    while True:
        with db.cursor() as cursor:
            cursor.execute(statement, [log_id, start, batch])
            rows = cursor.fetchall()
        if rows:
            yield rows
        if len(rows) < batch:
            return
        start = rows[-1][0] + 1


def openings(events: list[str]) -> list[tuple[str, str]]:
    """Return the stored openings of entries, as JSON text."""
    with db.cursor() as cursor:
        cursor.execute(_OPENINGS, [",".join(events)])
        return list(cursor.fetchall())


def notes(log_id: UUID) -> list[StoredNote]:
    """Return the stored checkpoints of a log, smallest first."""
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT size, root, note FROM audit_checkpoint WHERE log_id = %s ORDER BY size",
            [log_id],
        )
        return [StoredNote(row[0], bytes(row[1]), row[2]) for row in cursor.fetchall()]


def nodes(log_id: UUID) -> dict[tuple[int, int], bytes]:
    """Return the stored roots of full tiles: {(level, index): hash}; 1 for 256 entries."""
    with db.cursor() as cursor:
        cursor.execute("SELECT level, idx, hash FROM audit_node WHERE log_id = %s", [log_id])
        return {(row[0], row[1]): bytes(row[2]) for row in cursor.fetchall()}


def heads_states(log_id: UUID) -> dict[int, bytes]:
    """Return what the heads log says about a log: {size: root}."""
    with db.cursor() as cursor:
        cursor.execute("SELECT size, root FROM audit_heads_entry WHERE log_id = %s", [log_id])
        return {row[0]: bytes(row[1]) for row in cursor.fetchall()}


def unsealed(tenant_id: UUID, stream: int, older_than: float) -> list[UUID]:
    """Return entries without a place that are older than so many seconds (the first hundred)."""
    with db.cursor() as cursor:
        cursor.execute(_UNSEALED, [tenant_id, stream, older_than])
        return [row[0] for row in cursor.fetchall()]


def tenants_without_log() -> list[tuple[UUID, int]]:
    """Return (tenant, stream) pairs that have entries and no log at all."""
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT e.tenant_id, e.stream FROM audit_event e WHERE NOT EXISTS "
            "(SELECT 1 FROM audit_head h WHERE h.tenant_id = e.tenant_id AND h.stream = e.stream) "
            "AND e.recorded_at < now() - interval '60 seconds'"
        )
        return list(cursor.fetchall())
