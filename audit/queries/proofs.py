"""Proofs of stored entries, under signed checkpoints."""

from dataclasses import dataclass
from uuid import UUID

from audit.c2sp.proof import TlogProof
from audit.models import Event, Head, Leaf
from audit.queries import logs
from audit.queries.logs import Published
from audit.sealing import checkpoints
from audit.sealing.anchors import checkpoint_of
from audit.sealing.tiles import DatabaseTiles
from audit.tree import proofs
from kernel.errors import Invalid, NotFound


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


def inclusion(event: Event) -> InclusionProof | None:
    """Prove that the entry is in its tenant's log; None while it is not sealed.

    The newest note that covers the entry serves, so that a proof rarely needs a new signature.
    """
    leaf = Leaf.objects.filter(event_id=event.id).first()
    return _inclusion(leaf, bytes(event.leaf)) if leaf is not None else None


def inclusion_by_hash(event_id: UUID) -> InclusionProof | None:
    """Prove the same of an entry whose bytes were pruned: whoever has them can hash them."""
    leaf = Leaf.objects.filter(event_id=event_id).first()
    return _inclusion(leaf, b"") if leaf is not None else None


def _inclusion(leaf: Leaf, content: bytes) -> InclusionProof:
    head = Head.objects.get(log_id=leaf.log_id)
    published = checkpoint(leaf.log_id, at_least=leaf.leaf_index + 1)
    path = proofs.inclusion_proof(DatabaseTiles(leaf.log_id), leaf.leaf_index, published.size)
    return InclusionProof(
        leaf.log_id,
        head.origin,
        leaf.leaf_index,
        bytes(leaf.leaf_hash),
        content,
        tuple(path),
        published,
    )


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
