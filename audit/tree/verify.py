"""Strict verification of proofs, RFC 9162 sections 2.1.3.2 and 2.1.4.2.

Nothing passes by default: a position outside its domain, a spare or missing hash, a hash of another
length and a root that differs are all errors.
"""

from collections.abc import Sequence

from audit.tree.hashes import HASH_SIZE, node_hash


class ProofError(ValueError):
    """The proof does not show what it claims."""


def check_inclusion(
    leaf: bytes, *, index: int, size: int, path: Sequence[bytes], root: bytes
) -> None:
    """Check that leaf hash `leaf` is entry `index` of the tree of `size` leaves under `root`.

    Raises:
        ProofError: whenever it is not shown.
    """
    if root_from_path(leaf, index=index, size=size, path=path) != root:
        raise ProofError("the audit path leads to another root")


def root_from_path(leaf: bytes, *, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that the audit path leads to.

    Raises:
        ProofError: when the position or the number or length of the hashes is wrong.
    """
    if not 0 <= index < size:
        raise ProofError(f"no leaf {index} in a tree of {size}")
    _check_hashes([leaf, *path])
    position, last, root = index, size - 1, leaf
    for sibling in path:
        if not last:
            raise ProofError("the audit path has spare hashes")
        if position & 1 or position == last:
            root = node_hash(sibling, root)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            root = node_hash(root, sibling)
        position >>= 1
        last >>= 1
    if last:
        raise ProofError("the audit path lacks hashes")
    return root


def check_consistency(
    *, old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]
) -> None:
    """Check that the tree (old, old_root) is a prefix of the tree (new, new_root).

    Raises:
        ProofError: whenever it is not shown; also for old = 0, which no proof can cover.
    """
    if not 0 < old <= new:
        raise ProofError(f"consistency is not defined from {old} to {new}")
    _check_hashes([old_root, new_root, *path])
    if old == new:
        if path:
            raise ProofError("the consistency proof has spare hashes")
        if old_root != new_root:
            raise ProofError("two roots for one size")
        return
    seen_old, seen_new = _roots_from_consistency(old, new, old_root, path)
    if seen_old != old_root:
        raise ProofError("the proof leads to another old root")
    if seen_new != new_root:
        raise ProofError("the proof leads to another new root")


def _roots_from_consistency(
    old: int, new: int, old_root: bytes, path: Sequence[bytes]
) -> tuple[bytes, bytes]:
    hashes = [old_root, *path] if old.bit_count() == 1 else list(path)
    if not hashes:
        raise ProofError("the consistency proof lacks hashes")
    position, last = old - 1, new - 1
    while position & 1:
        position >>= 1
        last >>= 1
    seen_old = seen_new = hashes[0]
    for entry in hashes[1:]:
        if not last:
            raise ProofError("the consistency proof has spare hashes")
        if position & 1 or position == last:
            seen_old = node_hash(entry, seen_old)
            seen_new = node_hash(entry, seen_new)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            seen_new = node_hash(seen_new, entry)
        position >>= 1
        last >>= 1
    if last:
        raise ProofError("the consistency proof lacks hashes")
    return seen_old, seen_new


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(entry) != HASH_SIZE for entry in hashes):
        raise ProofError("a hash is not 32 bytes long")
