"""Heads: the growing end of each log, the only rows of the log that are updated."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from audit.origin import new_origin
from audit.tree.frontier import Frontier
from audit.tree.hashes import EMPTY_ROOT
from kernel import db

LogKey = tuple[UUID, int]

_LOCK: Final = """
SELECT h.tenant_id, h.stream, h.log_id, h.epoch, h.size, h.frontier
FROM unnest(%s::uuid[], %s::smallint[]) AS k (tenant_id, stream)
JOIN audit_head h USING (tenant_id, stream)
WHERE NOT EXISTS (SELECT 1 FROM audit_head n WHERE n.tenant_id = h.tenant_id
                  AND n.stream = h.stream AND n.epoch > h.epoch)
ORDER BY h.tenant_id, h.stream FOR UPDATE OF h
"""
# A frontier is joined for the way: arrays of different lengths cannot be unnested side by side.
_MOVE: Final = """
UPDATE audit_head h SET size = n.size, root = n.root, frontier = ARRAY(
  SELECT substring(n.frontier FROM part FOR 32)
  FROM generate_series(1, octet_length(n.frontier), 32) part ORDER BY part)
FROM unnest(%s::uuid[], %s::bigint[], %s::bytea[], %s::bytea[]) AS n (log_id, size, root, frontier)
WHERE h.log_id = n.log_id
"""
_COPY_LEAVES: Final = (
    "COPY audit_leaf (log_id, leaf_index, tenant_id, event_id, recorded_at, leaf_hash) "
    "FROM STDIN (FORMAT BINARY)"
)
_LEAF_TYPES: Final = ("uuid", "int8", "uuid", "uuid", "timestamptz", "bytea")
_COPY_NODES: Final = (
    "COPY audit_node (log_id, level, idx, tenant_id, hash) FROM STDIN (FORMAT BINARY)"
)
_NODE_TYPES: Final = ("uuid", "int2", "int8", "uuid", "bytea")


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry and the hash that takes the next place of a log."""

    event_id: UUID
    recorded_at: datetime
    leaf_hash: bytes


@dataclass(slots=True)
class Head:
    """One log in the hands of the sealer."""

    log_id: UUID
    tenant_id: UUID
    stream: int
    epoch: int
    frontier: Frontier


Growth = tuple[Head, Sequence[Placed]]


def lock(keys: Iterable[LogKey]) -> dict[LogKey, Head]:
    """Lock the newest log of each (tenant, stream), beginning those that do not exist.

    One statement, whose order of locks is fixed, so that two sealers could wait but never deadlock.
    """
    wanted = sorted(keys)
    with db.cursor() as cursor:
        cursor.execute(_LOCK, [[key[0] for key in wanted], [key[1] for key in wanted]])
        found = {(row[0], row[1]): _head(row) for row in cursor.fetchall()}
    return {key: found.get(key) or begin(*key, epoch=0) for key in wanted}


def begin(tenant_id: UUID, stream: int, epoch: int) -> Head:
    """Begin an empty log with a random id."""
    log_id = uuid4()
    with db.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_head (log_id, tenant_id, stream, epoch, origin, root) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            [log_id, tenant_id, stream, epoch, new_origin(log_id), EMPTY_ROOT],
        )
    return Head(log_id, tenant_id, stream, epoch, Frontier())


def extend(head: Head, entries: Sequence[Placed]) -> None:
    """Give the entries the next places of the log, in order, and move its head."""
    extend_all([(head, entries)])


def extend_all(growth: Sequence[Growth]) -> None:
    """Do so for several logs, in as many statements as for one."""
    leaves: list[tuple[object, ...]] = []
    nodes: list[tuple[object, ...]] = []
    for head, entries in growth:
        leaves += [
            (head.log_id, index, head.tenant_id, one.event_id, one.recorded_at, one.leaf_hash)
            for index, one in enumerate(entries, head.frontier.size)
        ]
        nodes += [
            (head.log_id, root.level, root.index, head.tenant_id, root.hash)
            for root in head.frontier.extend([entry.leaf_hash for entry in entries])
        ]
    _copy(_COPY_LEAVES, _LEAF_TYPES, leaves)
    _copy(_COPY_NODES, _NODE_TYPES, nodes)
    _move([head for head, _ in growth])


def _move(heads: Sequence[Head]) -> None:
    with db.cursor() as cursor:
        cursor.execute(
            _MOVE,
            [
                [head.log_id for head in heads],
                [head.frontier.size for head in heads],
                [head.frontier.root() for head in heads],
                [b"".join(head.frontier.hashes) for head in heads],
            ],
        )


def _head(row: Sequence[Any]) -> Head:
    tenant_id, stream, log_id, epoch, size, hashes = row
    return Head(log_id, tenant_id, stream, epoch, Frontier(size, [bytes(one) for one in hashes]))


def _copy(statement: str, types: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
    if not rows:
        return
    with db.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)
