"""Which hashes prove what, and how they are read from tiles.

The shapes follow PATH and PROOF of RFC 9162 sections 2.1.3.1 and 2.1.4.1: every hash of a proof is
the root of a range of leaves. A range is cut into perfect subtrees, and each of these lies inside
one 256-wide tile, so a proof in a tree of 2**32 leaves reads at most a handful of tiles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from audit.tree.frontier import TILE_HEIGHT, TILE_WIDTH, Frontier, fold
from audit.tree.hashes import node_hash

Range = tuple[int, int]


class TreeError(ValueError):
    """A proof was asked for outside its domain, or the stored tree lacks hashes it must have."""


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """`width` (1..256) hashes of tile level `level` from position 256 * `index` on."""

    level: int
    index: int
    width: int


class TileReader(Protocol):
    """Where tiles come from: a database, a directory or memory."""

    def read(self, tiles: Sequence[Tile]) -> Mapping[Tile, Sequence[bytes]]:
        """Return the hashes of each tile in order; what is not stored is left out."""


def inclusion_proof(reader: TileReader, index: int, size: int) -> list[bytes]:
    """Return the audit path of leaf `index` in the tree of `size` leaves, leaf's sibling first.

    Raises:
        TreeError: unless 0 <= index < size, or when a stored hash is missing.
    """
    if not 0 <= index < size:
        raise TreeError(f"no leaf {index} in a tree of {size}")
    return _range_roots(reader, inclusion_ranges(index, size), size)


def consistency_proof(reader: TileReader, old: int, new: int) -> list[bytes]:
    """Return the proof that the tree of `old` leaves is a prefix of the tree of `new` leaves.

    Raises:
        TreeError: unless 0 < old <= new, or when a stored hash is missing.
    """
    if not 0 < old <= new:
        raise TreeError(f"consistency is not defined from {old} to {new}")
    return _range_roots(reader, consistency_ranges(old, new), new)


def range_root(reader: TileReader, size: int) -> bytes:
    """Return the root of the first `size` leaves, read from tiles."""
    return _range_roots(reader, [(0, size)], size)[0] if size else fold([])


def frontier_at(reader: TileReader, size: int) -> Frontier:
    """Return the right edge of the first `size` leaves, from which a walk can go on.

    Raises:
        TreeError: a stored hash is missing.
    """
    ranges = [(index << height, index + 1 << height) for height, index in perfect_subtrees(0, size)]
    return Frontier(size, _range_roots(reader, ranges, size))


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """Return the leaf ranges whose roots form the audit path, lowest first."""
    low, high = 0, size
    ranges: list[Range] = []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    return ranges[::-1]


def consistency_ranges(old: int, new: int) -> list[Range]:
    """Return the leaf ranges whose roots form the consistency proof, in the RFC's order."""
    low, high = 0, new
    ranges: list[Range] = []
    while old < high:
        middle = low + _split(high - low)
        if old <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    if low:  # the old root itself is not repeated when it is a node of the new tree
        ranges.append((low, high))
    return ranges[::-1]


def perfect_subtrees(low: int, high: int) -> list[tuple[int, int]]:
    """Cut [low, high) into perfect subtrees, left to right, as (height, index at that height)."""
    nodes: list[tuple[int, int]] = []
    while low < high:
        room = (high - low).bit_length() - 1
        height = min(room, (low & -low).bit_length() - 1) if low else room
        nodes.append((height, low >> height))
        low += 1 << height
    return nodes


def _split(count: int) -> int:
    """Return the largest power of two smaller than `count` (>= 2)."""
    return 1 << ((count - 1).bit_length() - 1)


def _range_roots(reader: TileReader, ranges: Sequence[Range], size: int) -> list[bytes]:
    cut = [perfect_subtrees(low, high) for low, high in ranges]
    wanted = {_tile_of(height, index, size) for nodes in cut for height, index in nodes}
    tiles = reader.read(sorted(wanted))
    return [fold([_subtree_root(tiles, node, size) for node in nodes]) for nodes in cut]


def _tile_of(height: int, index: int, size: int) -> Tile:
    level = height // TILE_HEIGHT
    first = index << (height - level * TILE_HEIGHT)
    number = first // TILE_WIDTH
    stored = size >> (level * TILE_HEIGHT)
    return Tile(level, number, min(TILE_WIDTH, stored - number * TILE_WIDTH))


def _subtree_root(tiles: Mapping[Tile, Sequence[bytes]], node: tuple[int, int], size: int) -> bytes:
    height, index = node
    tile = _tile_of(height, index, size)
    span = 1 << (height % TILE_HEIGHT)
    start = (index * span) % TILE_WIDTH
    hashes = list(tiles.get(tile, ())[start : start + span])
    if len(hashes) != span:
        raise TreeError(f"tile {tile.level}/{tile.index} lacks stored hashes")
    while len(hashes) > 1:
        hashes = [node_hash(*pair) for pair in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]
