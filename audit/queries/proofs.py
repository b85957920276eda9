"""Proofs of stored entries, under signed checkpoints."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from audit.c2sp.proof import TlogProof
from audit.models import Event, Head
from audit.queries import logs
from audit.queries.logs import Published
from audit.sealing import checkpoints
from audit.sealing.anchors import checkpoint_of
from audit.sealing.tiles import DatabaseTiles
from audit.tree import proofs
from kernel import db
from kernel.errors import Invalid, NotFound
from kernel.tenancy import current_tenant

# An entry's place, and the newest stored note that covers it.
_PLACED: Final = """
SELECT l.log_id, l.leaf_index, l.leaf_hash, h.origin, c.size, c.root, c.note
FROM audit_leaf l JOIN audit_head h USING (log_id)
LEFT JOIN LATERAL (SELECT size, root, note FROM audit_checkpoint n
                   WHERE n.log_id = l.log_id AND n.size > l.leaf_index
                   ORDER BY n.size DESC LIMIT 1) c ON true
WHERE l.event_id = %s AND l.tenant_id = %s
"""


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """Entry `index` of log `log_id`, with everything that shows it offline."""

    log_id: UUID
    origin: str
    index: int
    leaf_hash: bytes
    leaf: bytes
    path: tuple[bytes, ...]
    published: Published

    def tlog(self) -> TlogProof:
        """Return the proof in the C2SP form, the hashed bytes as its extra data."""
        return TlogProof(self.index, self.path, self.published.note, self.leaf or None)


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """The log of `old` entries is the beginning of the log of `new` entries."""

    log_id: UUID
    old: int
    new: int
    path: tuple[bytes, ...]


def checkpoint(log_id: UUID, *, at_least: int = 0) -> Published:
    """Return a signed note of at least that size, the newest one when size does not matter.

    Raises:
        kernel.errors.NotFound: there is no such log.
        audit.sealing.checkpoints.ForkRefusedError: signing would fork the log.
    """
    found = logs.published(log_id, at_least=at_least) if at_least else None
    if found is not None:
        return found
    note = checkpoints.issue(log_id)
    state = checkpoint_of(note)
    return Published(state.size, state.root, note)


def signed_part(log_id: UUID) -> Published:
    """Return the newest note of what a log still has, signed now if that may be.

    Of a log that lacks published states nothing is signed any more; what its older notes cover is
    proven as before.

    Raises:
        kernel.errors.NotFound: there is no such log.
        audit.sealing.checkpoints.ForkRefusedError: no note that was ever signed fits the log.
    """
    try:
        return checkpoint(log_id)
    except checkpoints.ForkRefusedError:
        size = Head.objects.get(log_id=log_id).size
        found = logs.published(log_id, at_most=size)
        if found is None or not checkpoints.contains(log_id, size, checkpoint_of(found.note)):
            raise
        return found


def inclusion(event: Event) -> InclusionProof | None:
    """Prove that the entry is in its tenant's log; None while it is not sealed.

    The newest note that covers the entry serves, so that a proof rarely needs a new signature.
    """
    return _inclusion(event.id, bytes(event.leaf))


def inclusion_by_hash(event_id: UUID) -> InclusionProof | None:
    """Prove the same of an entry whose bytes were pruned: whoever has them can hash them."""
    return _inclusion(event_id, b"")


def _inclusion(event_id: UUID, content: bytes) -> InclusionProof | None:
    """Prove it in two statements: where it stands under which note, and the tiles."""
    with db.cursor() as cursor:
        cursor.execute(_PLACED, [event_id, current_tenant()])
        row = cursor.fetchone()
    if row is None:
        return None
    log_id, index, digest, origin, size, root, note = row
    published = Published(size, bytes(root), note) if note is not None else checkpoint(log_id)
    path = proofs.inclusion_proof(DatabaseTiles(log_id), index, published.size)
    return InclusionProof(log_id, origin, index, bytes(digest), content, tuple(path), published)


def consistency(head: Head, old: int, new: int) -> ConsistencyProof:
    """Prove that a log only grew.

    Raises:
        kernel.errors.Invalid: unless 0 < old <= new <= the log's size.
    """
    if not 0 < old <= new:
        raise Invalid("0 < old <= new is needed.", pointer="/query/old")
    if new > head.size:
        raise NotFound(f"The log has {head.size} entries.")
    path = proofs.consistency_proof(DatabaseTiles(head.log_id), old, new)
    return ConsistencyProof(head.log_id, old, new, tuple(path))
