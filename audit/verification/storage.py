"""Reads what is stored, in batches, as the role ``sealer``, which sees every tenant."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from kernel import db

BATCH: Final = 5_000
ROWS: Final = 64
"""Places that travel together: so few that the server gets the next ones ready meanwhile."""
PIECE: Final = 1 << 16
"""Places read by one statement: a full tile of the second level."""

SEPARATOR: Final = "\x1f"
COLUMNS: Final = (
    "tenant_id", "stream", "occurred_at", "action", "actor_type", "actor_id", "on_behalf_of",
    "target_type", "target_id", "outcome", "request_id",
)  # fmt: skip
_TEXTS: Final = (
    "e.action, e.actor_type, e.actor_id, e.on_behalf_of, e.target_type, e.target_id, e.outcome, "
    "e.request_id"
)
_PROJECTED: Final = (
    "e.tenant_id::text, e.stream::text, "
    f"to_char(e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), {_TEXTS}"
)
# All projected columns as one text: a value for each costs the driver more than the comparison.
# Where one holds the separator itself they come as a JSON list, so that nothing can be shifted.
_ONE_TEXT: Final = (
    f"CASE WHEN strpos(concat({_TEXTS}), E'\\x1f') = 0 THEN concat_ws(E'\\x1f', {_PROJECTED}) "
    f"ELSE to_json(ARRAY[{_PROJECTED}])::text END"
)
_OF_LOG: Final = "(SELECT h.stream FROM audit_head h WHERE h.log_id = %(log)s)"
_PLACES: Final = f"""
SELECT l.leaf_index, l.leaf_hash, l.event_id::text, e.leaf,
       e.leaf_hash = l.leaf_hash AND e.tenant_id = l.tenant_id AND e.stream = {_OF_LOG}
       AND e.tenant_id = {_OF_LOG.replace("stream", "tenant_id")}, {_ONE_TEXT},
       (SELECT '[' || string_agg(p.doc::text, ',') || ']' FROM audit_pii p
        WHERE p.event_id = l.event_id AND p.tenant_id = e.tenant_id),
       (SELECT encode(sha256(b.body), 'hex') FROM audit_blob b
        WHERE b.event_id = l.event_id AND b.tenant_id = e.tenant_id)
FROM audit_leaf l
LEFT JOIN audit_event e ON e.id = l.event_id AND e.recorded_at = l.recorded_at
WHERE l.log_id = %(log)s
  AND l.leaf_index >= start AND l.leaf_index < least(start + {ROWS}, %(past)s)
ORDER BY l.leaf_index OFFSET 0
"""  # noqa: S608 - of the constants above, nothing from outside
_TYPES: Final = ("int8[]", "bytea[]", "text[]", "bytea[]", "bool[]", "text[]", "text[]", "text[]")
_GATHERED: Final = ", ".join(f"array_agg(c{number})" for number in range(len(_TYPES)))
_NAMES: Final = ", ".join(f"c{number}" for number in range(len(_TYPES)))
# A row of arrays for many places: the driver takes a third of the time of a row for each place.
_STREAM: Final = f"""
COPY (
SELECT batch.* FROM generate_series(%(first)s::bigint, %(past)s - 1, {ROWS}) AS start
CROSS JOIN LATERAL (SELECT {_GATHERED} FROM ({_PLACES}) AS place ({_NAMES})) AS batch
) TO STDOUT (FORMAT BINARY)
"""  # noqa: S608 - of the constants above, nothing from outside
# Each place is two probes of a primary key. Left to itself the planner scans and hashes the whole
# log anew for each piece.
_PLAN: Final = (
    "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; "
    "SET LOCAL enable_seqscan = off; SET LOCAL max_parallel_workers_per_gather = 0"
)
_HASHES: Final = """
SELECT leaf_index, leaf_hash FROM audit_leaf
WHERE log_id = %s AND leaf_index >= %s AND leaf_index < %s ORDER BY leaf_index
"""
_INSERTED: Final = """
SELECT l.leaf_index, l.leaf_hash
FROM audit_leaf l JOIN audit_event e ON e.id = l.event_id AND e.recorded_at = l.recorded_at
WHERE l.log_id = %s AND l.leaf_index = ANY (%s) ORDER BY e.seq
"""
_HEADS_LEAVES: Final = """
SELECT l.leaf_index, l.leaf_hash, l.event_id, e.leaf, e.log_id, e.size, e.root,
       e.heads_log = l.log_id AND e.leaf_index = l.leaf_index AND NOT EXISTS (
         SELECT 1 FROM audit_head h WHERE h.log_id = e.log_id AND h.tenant_id <> e.tenant_id)
FROM audit_leaf l LEFT JOIN audit_heads_entry e ON e.id = l.event_id
WHERE l.log_id = %s AND l.leaf_index >= %s
ORDER BY l.leaf_index LIMIT %s
"""
_UNSEALED: Final = """
SELECT e.id FROM audit_event e
WHERE e.tenant_id = %s AND e.stream = %s AND e.recorded_at < now() - make_interval(secs => %s)
  AND NOT EXISTS (SELECT 1 FROM audit_leaf l WHERE l.event_id = e.id)
LIMIT 100
"""
# From log to log by the index of each table: there are many rows of each.
_TRACES: Final = " UNION ".join(
    f"""
(WITH RECURSIVE one AS (
   (SELECT log_id, tenant_id FROM {table} ORDER BY log_id LIMIT 1)
   UNION ALL
   SELECT next.* FROM one, LATERAL (
     SELECT log_id, tenant_id FROM {table} t WHERE t.log_id > one.log_id
     ORDER BY t.log_id LIMIT 1) next
 ) SELECT log_id, tenant_id FROM one WHERE %(tenant)s::uuid IS NULL OR tenant_id = %(tenant)s)
"""  # noqa: S608 - the tables are named below, in the source
    for table in ("audit_checkpoint", "audit_heads_entry", "audit_anchor", "audit_verified")
)
_PLACED: Final = "SELECT DISTINCT log_id FROM audit_leaf WHERE tenant_id = %s"
_HEADS: Final = (
    "SELECT log_id, tenant_id, stream, epoch, origin, size, root, frontier FROM audit_head"
)


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
    tenant_id: UUID


def heads(tenant_id: UUID | None) -> list[StoredHead]:
    """Return the heads of all logs, or of one tenant's."""
    with db.cursor() as cursor:
        cursor.execute(
            f"{_HEADS} WHERE %s::uuid IS NULL OR tenant_id = %s ORDER BY tenant_id, stream, epoch",
            [tenant_id, tenant_id],
        )
        return [_head(row) for row in cursor.fetchall()]


def _head(row: tuple[Any, ...]) -> StoredHead:
    frontier = [bytes(one) for one in row[7]]
    return StoredHead(row[0], row[1], row[2], row[3], row[4], row[5], bytes(row[6]), frontier)


def head(log_id: UUID) -> StoredHead:
    """Return one head as the open transaction sees it."""
    with db.cursor() as cursor:
        cursor.execute(f"{_HEADS} WHERE log_id = %s", [log_id])
        return _head(cursor.fetchone())


def place(event_id: UUID) -> tuple[UUID, int] | None:
    """Return log and leaf index of an entry; None when it is not sealed."""
    with db.cursor() as cursor:
        cursor.execute("SELECT log_id, leaf_index FROM audit_leaf WHERE event_id = %s", [event_id])
        row = cursor.fetchone()
    return (row[0], row[1]) if row else None


def places(log_id: UUID, first: int, past: int) -> Iterator[list[tuple[Any, ...]]]:
    """Go through the stored places [first, past) in batches, streamed by the server.

    A row: leaf index, place's hash, entry's id, leaf (None: gone), whether the entry's stored hash
    and tenant are the place's and its tenant and stream the log's, the projected columns joined by
    SEPARATOR (as a JSON list where one holds it), openings as a JSON list of documents (None:
    none), digest of the blob (None: none).
    """
    with db.cursor() as cursor:
        cursor.execute(_PLAN)
        for start in range(first, past, PIECE):
            stop = min(start + PIECE, past)
            bounds = {"log": log_id, "first": start, "past": stop}
            with cursor.copy(_STREAM, bounds) as copy:
                copy.set_types(_TYPES)
                for batch in copy.rows():
                    if batch[0] is not None:  # not one place of them is stored
                        yield list(zip(*batch, strict=True))


def blob(event_id: UUID) -> bytes | None:
    """Return the changes that lie beside an entry; None without any."""
    with db.cursor() as cursor:
        cursor.execute("SELECT body FROM audit_blob WHERE event_id = %s", [event_id])
        row = cursor.fetchone()
    return bytes(row[0]) if row else None


def heads_leaves(log_id: UUID, start: int) -> Iterator[list[tuple[Any, ...]]]:
    """Go through the places of the heads log from `start` on, in batches."""
    while True:
        with db.cursor() as cursor:
            cursor.execute(_HEADS_LEAVES, [log_id, start, BATCH])
            rows = cursor.fetchall()
        if rows:
            yield rows
        if len(rows) < BATCH:
            return
        start = rows[-1][0] + 1


def end(log_id: UUID) -> int:
    """Return the place after the last one that is stored, whatever the head says."""
    with db.cursor() as cursor:
        cursor.execute("SELECT max(leaf_index) + 1 FROM audit_leaf WHERE log_id = %s", [log_id])
        return int(cursor.fetchone()[0] or 0)


def hashes(log_id: UUID, first: int, past: int) -> Iterator[tuple[int, bytes]]:
    """Go through (leaf index, hash) of the stored places [first, past)."""
    for start in range(first, past, PIECE):
        with db.cursor() as cursor:
            cursor.execute(_HASHES, [log_id, start, min(start + PIECE, past)])
            yield from ((row[0], bytes(row[1])) for row in cursor.fetchall())


def by_insertion(log_id: UUID, indexes: list[int]) -> list[bytes]:
    """Return the hashes of these places in the order in which their entries were written."""
    with db.cursor() as cursor:
        cursor.execute(_INSERTED, [log_id, indexes])
        return [bytes(row[1]) for row in cursor.fetchall()]


def notes(log_id: UUID) -> list[StoredNote]:
    """Return the stored checkpoints of a log, smallest first."""
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT size, root, note, tenant_id FROM audit_checkpoint WHERE log_id = %s "
            "ORDER BY size",
            [log_id],
        )
        return [StoredNote(row[0], bytes(row[1]), row[2], row[3]) for row in cursor.fetchall()]


def nodes(log_id: UUID) -> dict[tuple[int, int], bytes]:
    """Return the stored roots of full tiles: {(level, index): hash}; 1 for 256 entries.

    What another tenant's row holds, the log's own tenant cannot see: it does not count.
    """
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT level, idx, hash FROM audit_node JOIN audit_head USING (log_id, tenant_id) "
            "WHERE log_id = %s",
            [log_id],
        )
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


def traces(tenant_id: UUID | None) -> dict[UUID, UUID]:
    """Return the logs, with their tenants, of which anything but entries and places tells."""
    with db.cursor() as cursor:
        cursor.execute(_TRACES, {"tenant": tenant_id})
        return dict(cursor.fetchall())


def logs_of_places(tenant_id: UUID) -> list[UUID]:
    """Return the logs in which a tenant has places: a walk over those of all tenants."""
    with db.cursor() as cursor:
        cursor.execute(_PLACED, [tenant_id])
        return [row[0] for row in cursor.fetchall()]


def tenants_without_log(tenant_id: UUID | None) -> list[tuple[UUID, int]]:
    """Return (tenant, stream) pairs, of one tenant or of all, that have entries and no log."""
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT e.tenant_id, e.stream FROM audit_event e WHERE NOT EXISTS "
            "(SELECT 1 FROM audit_head h WHERE h.tenant_id = e.tenant_id AND h.stream = e.stream) "
            "AND e.recorded_at < now() - interval '60 seconds' "
            "AND (%s::uuid IS NULL OR e.tenant_id = %s)",
            [tenant_id, tenant_id],
        )
        return list(cursor.fetchall())
