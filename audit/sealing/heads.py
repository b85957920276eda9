"""Heads: the growing end of each log, the only rows of the log that are updated."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from audit.origin import new_origin
from audit.tree.frontier import Frontier, TileRoot
from audit.tree.hashes import EMPTY_ROOT
from kernel import db

LogKey = tuple[UUID, int]


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


def lock(keys: Iterable[LogKey]) -> dict[LogKey, Head]:
    """Lock the newest log of each (tenant, stream), beginning those that do not exist.

    The order of the locks is fixed, so that two sealers could wait but never deadlock.
    """
    return {key: _lock_one(*key) for key in sorted(keys)}


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
    first = head.frontier.size
    roots = head.frontier.extend(entry.leaf_hash for entry in entries)
    _copy_leaves(head, first, entries)
    _copy_nodes(head, roots)
    with db.cursor() as cursor:
        cursor.execute(
            "UPDATE audit_head SET size = %s, root = %s, frontier = %s WHERE log_id = %s",
            [head.frontier.size, head.frontier.root(), head.frontier.hashes, head.log_id],
        )


def _lock_one(tenant_id: UUID, stream: int) -> Head:
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT log_id, epoch, size, frontier FROM audit_head "
            "WHERE tenant_id = %s AND stream = %s ORDER BY epoch DESC LIMIT 1 FOR UPDATE",
            [tenant_id, stream],
        )
        row = cursor.fetchone()
    if row is None:
        return begin(tenant_id, stream, 0)
    log_id, epoch, size, hashes = row
    return Head(log_id, tenant_id, stream, epoch, Frontier(size, [bytes(one) for one in hashes]))


def _copy_leaves(head: Head, first: int, entries: Sequence[Placed]) -> None:
    with (
        db.cursor() as cursor,
        cursor.copy(
            "COPY audit_leaf (log_id, leaf_index, tenant_id, event_id, recorded_at, leaf_hash) "
            "FROM STDIN"
        ) as copy,
    ):
        for index, entry in enumerate(entries, first):
            copy.write_row(
                (
                    head.log_id,
                    index,
                    head.tenant_id,
                    entry.event_id,
                    entry.recorded_at,
                    entry.leaf_hash,
                )
            )


def _copy_nodes(head: Head, roots: Sequence[TileRoot]) -> None:
    if not roots:
        return
    with (
        db.cursor() as cursor,
        cursor.copy("COPY audit_node (log_id, level, idx, tenant_id, hash) FROM STDIN") as copy,
    ):
        for root in roots:
            copy.write_row((head.log_id, root.level, root.index, head.tenant_id, root.hash))
