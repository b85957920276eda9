"""Logs and their published states."""

from dataclasses import dataclass
from uuid import UUID

from audit.models import HEADS_STREAM, Head
from kernel import db
from kernel.errors import NotFound


@dataclass(frozen=True, slots=True)
class Published:
    """A stored signed note of a log."""

    size: int
    root: bytes
    note: str


def newest(stream: int) -> Head:
    """Return the present log of the context's tenant.

    Raises:
        kernel.errors.NotFound: nothing of the stream has been sealed yet.
    """
    head = Head.objects.filter(stream=stream).order_by("-epoch").first()
    if head is None:
        raise NotFound("Nothing of this stream has been sealed yet.")
    return head


def find(log_id: UUID) -> Head:
    """Return a log that the context may see.

    Raises:
        kernel.errors.NotFound: there is none.
    """
    head = Head.objects.filter(log_id=log_id).exclude(stream=HEADS_STREAM).first()
    if head is None:
        raise NotFound
    return head


def heads_log() -> Head:
    """Return the log of heads; to be asked for in the instance's own context.

    Raises:
        kernel.errors.NotFound: no log has been published yet.
    """
    return newest(HEADS_STREAM)


def published(log_id: UUID, *, at_least: int = 0, at_most: int | None = None) -> Published | None:
    """Return the newest stored note within these sizes; None when none was ever signed."""
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT size, root, note FROM audit_checkpoint WHERE log_id = %s AND size >= %s "
            "AND (%s::bigint IS NULL OR size <= %s) ORDER BY size DESC LIMIT 1",
            [log_id, at_least, at_most, at_most],
        )
        row = cursor.fetchone()
    return Published(row[0], bytes(row[1]), row[2]) if row else None


def entries(log_id: UUID, start: int, stop: int) -> list[tuple[int, UUID, bytes]]:
    """Return (leaf index, entry id, hashed bytes) of the places [start, stop) in order.

    A place whose bytes are gone, which only tampering can bring about, is left out.
    """
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT l.leaf_index, e.id, e.leaf FROM audit_leaf l "
            "JOIN audit_event e ON e.id = l.event_id AND e.recorded_at = l.recorded_at "
            "WHERE l.log_id = %s AND l.leaf_index >= %s AND l.leaf_index < %s "
            "ORDER BY l.leaf_index",
            [log_id, start, stop],
        )
        return [(row[0], row[1], bytes(row[2])) for row in cursor.fetchall()]


def heads_entries(heads_log: UUID, start: int, stop: int) -> list[bytes]:
    """Return the hashed bytes of the heads log's places [start, stop): they are public."""
    with db.use_alias("staff"), db.cursor() as cursor:
        cursor.execute(
            "SELECT leaf FROM audit_heads_entry "
            "WHERE heads_log = %s AND leaf_index >= %s AND leaf_index < %s ORDER BY leaf_index",
            [heads_log, start, stop],
        )
        return [bytes(row[0]) for row in cursor.fetchall()]
