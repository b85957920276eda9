"""The right edge of a growing tree: all that is needed to append and to know the root.

A tree of n leaves is a row of perfect subtrees, one for each set bit of n, largest first (the
compact range of RFC 9162's verifiable logs). Appending merges from the right like a carry in binary
addition.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from audit.tree.hashes import EMPTY_ROOT, HASH_SIZE, node_hash

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT


@dataclass(frozen=True, slots=True)
class TileRoot:
    """Root of a full subtree of 256**level leaves: entry `index` of tile level `level` (>= 1)."""

    level: int
    index: int
    hash: bytes


@dataclass(slots=True)
class Frontier:
    """A tree of `size` leaves, kept as the roots of its perfect subtrees, largest first.

    Raises:
        ValueError: when the number or length of the hashes does not fit the size.
    """

    size: int = 0
    hashes: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.hashes) != self.size.bit_count():
            raise ValueError(f"{len(self.hashes)} frontier hashes do not fit size {self.size}")
        if any(len(entry) != HASH_SIZE for entry in self.hashes):
            raise ValueError("a frontier hash is not 32 bytes long")

    def append(self, leaf: bytes) -> list[TileRoot]:
        """Add one leaf hash; return the tile roots it completed, lowest level first."""
        finished: list[TileRoot] = []
        current, height, carry = leaf, 0, self.size
        while carry & 1:
            current = node_hash(self.hashes.pop(), current)
            carry >>= 1
            height += 1
            if height % TILE_HEIGHT == 0:
                finished.append(TileRoot(height // TILE_HEIGHT, carry, current))
        self.hashes.append(current)
        self.size += 1
        return finished

    def extend(self, leaves: Iterable[bytes]) -> list[TileRoot]:
        """Add leaf hashes in order; return every tile root completed on the way."""
        waiting = list(leaves)
        finished: list[TileRoot] = []
        start = min(-self.size % TILE_WIDTH, len(waiting))
        for leaf in waiting[:start]:
            finished += self.append(leaf)
        while len(waiting) - start >= TILE_WIDTH:
            finished += self._append_tile(waiting[start : start + TILE_WIDTH])
            start += TILE_WIDTH
        for leaf in waiting[start:]:
            finished += self.append(leaf)
        return finished

    def _append_tile(self, hashes: list[bytes]) -> list[TileRoot]:
        """Add a full tile's hashes at a tile's beginning: level by level, twice as fast."""
        while len(hashes) > 1:
            pairs = iter(hashes)
            hashes = [
                sha256(b"\x01" + left + right).digest()
                for left, right in zip(pairs, pairs, strict=True)
            ]
        current, height, carry = hashes[0], TILE_HEIGHT, self.size >> TILE_HEIGHT
        finished = [TileRoot(1, carry, current)]
        while carry & 1:
            current = node_hash(self.hashes.pop(), current)
            carry >>= 1
            height += 1
            if height % TILE_HEIGHT == 0:
                finished.append(TileRoot(height // TILE_HEIGHT, carry, current))
        self.hashes.append(current)
        self.size += TILE_WIDTH
        return finished

    def root(self) -> bytes:
        """Return the tree's root; SHA-256 of nothing when it is empty."""
        return fold(self.hashes)


def fold(hashes: Sequence[bytes]) -> bytes:
    """Join perfect subtree roots, largest first, into the root of their whole range."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes in order."""
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier.root()
