"""The newest signed note of a log, as its readers ask for it: again and again while nothing grows.

A note of the present size that is stored and anchored may leave as it is: one statement of the
reader's own role and one file. Everything else (a log that has grown, a note whose anchor is
missing) goes the way of :func:`audit.sealing.checkpoints.issue`.
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from audit.models import HEADS_STREAM, Head, Stream
from audit.queries import proofs
from audit.queries.logs import Published
from audit.sealing import anchors
from kernel import db
from kernel.errors import NotFound
from kernel.tenancy import current_tenant

_SELECT: Final = """
SELECT h.log_id, h.stream, h.epoch, h.origin, h.size, h.root, h.created_at, c.note
  FROM audit_head h
  LEFT JOIN audit_checkpoint c ON c.log_id = h.log_id AND c.size = h.size AND c.root = h.root
 WHERE h.tenant_id = %s AND """
_NEWEST: Final = _SELECT + "h.stream = %s ORDER BY h.epoch DESC LIMIT 1"
_ONE: Final = _SELECT + "h.log_id = %s AND h.stream <> %s"


@dataclass(frozen=True, slots=True)
class Signed:
    """A log and the note that fixes its present state."""

    head: Head
    published: Published


def newest(stream: Stream) -> Signed:
    """Sign the present state of the tenant's log of a stream, or give the note that does.

    Raises:
        kernel.errors.NotFound: nothing of the stream has been sealed yet.
        audit.sealing.checkpoints.ForkRefusedError: signing would fork the log.
    """
    found = _read(_NEWEST, stream)
    if found is None:
        raise NotFound("Nothing of this stream has been sealed yet.")
    return found


def of_log(log_id: UUID) -> Signed:
    """Do the same for one of the tenant's logs, former epochs included.

    Raises:
        kernel.errors.NotFound: the tenant has no such log.
        audit.sealing.checkpoints.ForkRefusedError: signing would fork the log.
    """
    found = _read(_ONE, log_id, HEADS_STREAM)
    if found is None:
        raise NotFound
    return found


def _read(sql: str, *values: Any) -> Signed | None:
    tenant_id = current_tenant()
    with db.cursor() as cursor:
        cursor.execute(sql, [tenant_id, *values])
        row = cursor.fetchone()
    if row is None:
        return None
    log_id, stream, epoch, origin, size, root, created_at, note = row
    head = Head(
        log_id=log_id, tenant_id=tenant_id, stream=stream, epoch=epoch, origin=origin,
        size=size, root=bytes(root), created_at=created_at,
    )  # fmt: skip
    if note is not None and anchors.newest_note(log_id) == note:
        return Signed(head, Published(size, bytes(root), note))
    return Signed(head, proofs.checkpoint(log_id))
