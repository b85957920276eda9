"""Issues checkpoints: signed when asked for, stored and anchored before they leave."""

from uuid import UUID

from audit.c2sp.checkpoint import Checkpoint
from audit.c2sp.note import sign
from audit.sealing import anchors, keys
from audit.sealing.tiles import DatabaseTiles
from audit.tree.proofs import TreeError, range_root
from kernel import db
from kernel.errors import NotFound, Unavailable
from kernel.tenancy import across_tenants


class ForkRefusedError(Unavailable):
    """The database lacks a state that left the process: nothing is signed for this log."""

    code = "audit_log_forked"


def issue(log_id: UUID) -> str:
    """Return the signed note of the log's present state.

    Signed lazily: ten thousand idle tenants cost nothing. The note of one size is made once, stored
    in the database, anchored in a file, and only then given out.

    Raises:
        kernel.errors.NotFound: there is no such log.
        ForkRefusedError: an anchored checkpoint is not part of this log, as after a restore.
    """
    with db.use_alias("sealer"), across_tenants():
        with db.atomic():
            note = _stored(log_id) or _sign(log_id)
        try:
            anchors.keep(log_id, note)
        except anchors.AnchorAheadError as error:
            raise ForkRefusedError("The log differs from its anchored checkpoint.") from error
        except anchors.AnchorUnreadableError as error:
            raise ForkRefusedError("The log's anchored checkpoint cannot be read.") from error
    return note


def contains(log_id: UUID, size: int, known: Checkpoint) -> bool:
    """Tell whether the stored log of `size` entries begins with the known checkpoint's state."""
    if known.size > size:
        return False
    try:
        return range_root(DatabaseTiles(log_id), known.size) == known.root
    except TreeError:
        return False


def _stored(log_id: UUID) -> str | None:
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT c.note FROM audit_head h JOIN audit_checkpoint c USING (log_id, size) "
            "WHERE h.log_id = %s AND c.root = h.root",
            [log_id],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def _sign(log_id: UUID) -> str:
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT tenant_id, size, root, origin FROM audit_head WHERE log_id = %s", [log_id]
        )
        row = cursor.fetchone()
        if row is None:
            raise NotFound
        tenant_id, size, root = row[0], row[1], bytes(row[2])
        try:
            known = anchors.newest(log_id)
        except anchors.AnchorUnreadableError as error:
            raise ForkRefusedError("The log's anchored checkpoint cannot be read.") from error
        if known is not None and not contains(log_id, size, known):
            raise ForkRefusedError("The log lacks a state that was published; see audit_verify.")
        origin = row[3]
        note = sign(Checkpoint(origin, size, root).text(), keys.ring().signers(origin)).encode()
        cursor.execute(
            "INSERT INTO audit_checkpoint (log_id, size, tenant_id, root, note) "
            "VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [log_id, size, tenant_id, root, note],
        )
        cursor.execute(
            "SELECT note FROM audit_checkpoint WHERE log_id = %s AND size = %s", [log_id, size]
        )
        return str(cursor.fetchone()[0])
