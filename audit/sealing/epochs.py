"""After a restore that lost sealed entries, a log is never continued: a new epoch begins instead.

At start the sealer compares every anchored checkpoint with the database. Where the database is
behind or differs, the next signature would fork the log. The old log stays as it is, forever ending
early; the new one's entry 0 holds the last published checkpoint and the reason, so the break is
told, not hidden.
"""

from dataclasses import dataclass
from uuid import UUID

import structlog

from audit.actions import EPOCH_OPENED
from audit.models import HEADS_STREAM, Stream
from audit.sealing import anchors, checkpoints, heads
from audit.services.context import Context
from audit.services.recording import record
from kernel import db
from kernel.tenancy import across_tenants

_log = structlog.get_logger("innkeeper.audit.sealer")


@dataclass(frozen=True, slots=True)
class Broken:
    """A log that lacks a state which left the process."""

    log_id: UUID
    tenant_id: UUID
    stream: int
    epoch: int
    reason: str
    note: str


def find_broken() -> list[Broken]:
    """Return the newest logs whose anchored checkpoint the database does not contain."""
    with db.use_alias("sealer"), across_tenants():
        return [found for log_id in anchors.known_logs() if (found := _examine(log_id))]


def open_epoch(broken: Broken) -> UUID:
    """Begin the successor of a broken log; return its id.

    The heads log holds no entries: its break is told in the instance's own log.
    """
    with db.use_alias("sealer"), across_tenants(), db.atomic():
        head = heads.begin(broken.tenant_id, broken.stream, broken.epoch + 1)
        entry = _tell(head, broken)
        if broken.stream != HEADS_STREAM:
            heads.extend(head, [entry])
    _log.error("epoch.opened", log=str(head.log_id), former=str(broken.log_id), why=broken.reason)
    return head.log_id


def _tell(head: heads.Head, broken: Broken) -> heads.Placed:
    """Write the entry about the break, in a transaction of its own."""
    with db.use_alias("staff"), across_tenants(), db.atomic():
        receipt = record(
            action=EPOCH_OPENED.name,
            target_type="audit_log",
            target_id=head.log_id.hex,
            tenant_id=broken.tenant_id,
            stream=Stream.PLATFORM if broken.stream == HEADS_STREAM else Stream(broken.stream),
            metadata={
                "former_log": broken.log_id.hex,
                "cause": broken.reason,
                "checkpoint": broken.note,
            },
            context=Context("system"),
        )
    with db.cursor() as cursor:
        cursor.execute("SELECT recorded_at FROM audit_event WHERE id = %s", [receipt.event_id])
        return heads.Placed(receipt.event_id, cursor.fetchone()[0], receipt.leaf_hash)


def _examine(log_id: UUID) -> Broken | None:
    try:
        known, note = anchors.newest(log_id), anchors.newest_note(log_id)
    except anchors.AnchorUnreadableError as error:
        # Nothing is signed for this log until somebody looks; the others go on.
        _log.error("anchor.unreadable", log=str(log_id), detail=str(error))
        return None
    if known is None or note is None:
        return None
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT h.tenant_id, h.stream, h.epoch, h.size, NOT EXISTS (SELECT 1 FROM audit_head n "
            "WHERE n.tenant_id = h.tenant_id AND n.stream = h.stream AND n.epoch > h.epoch) "
            "FROM audit_head h WHERE h.log_id = %s",
            [log_id],
        )
        row = cursor.fetchone()
    if row is None:
        # The whole log is gone and nobody knows whose it was: the verifier names it.
        _log.error("log.missing", log=str(log_id), size=known.size)
        return None
    tenant_id, stream, epoch, size, is_newest = row
    if not is_newest or checkpoints.contains(log_id, size, known):
        return None
    reason = "behind" if known.size > size else "differs"
    return Broken(log_id, tenant_id, stream, epoch, reason, note)
