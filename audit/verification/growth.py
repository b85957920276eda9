"""The tree that grows from the stored places, compared with the stored tiles on the way."""

from collections.abc import Sequence
from typing import Final

from audit.tree.frontier import TILE_WIDTH, Frontier, TileRoot
from audit.verification import storage
from audit.verification.storage import StoredHead

Nodes = dict[tuple[int, int], bytes]
_MOST_TILES: Final = 256
"""Tiles in which another order is looked for."""


class Growth:
    """A growing tree.

    `roots` holds the root at each wanted size, `wrong` the tile roots that differ from the stored
    ones, `nodes` the stored ones to which no tile has grown yet.
    """

    def __init__(self, wanted: set[int], nodes: Nodes) -> None:
        self.frontier = Frontier()
        self.wrong: list[TileRoot] = []
        self.nodes = nodes
        self.wanted = sorted(wanted)
        self.roots = {0: self.frontier.root()}

    def begin(self, frontier: Frontier) -> None:
        """Go on from a tree that is known to be right."""
        self.frontier = frontier
        self.wanted = [size for size in self.wanted if size > frontier.size]
        self.roots[frontier.size] = frontier.root()

    def extend(self, hashes: Sequence[bytes]) -> None:
        """Add the next leaves."""
        start, size = 0, self.frontier.size
        for stop in [want - size for want in self.wanted if want - size <= len(hashes)]:
            self._extend(hashes[start:stop])
            self.roots[size + stop] = self.frontier.root()
            start = stop
        self._extend(hashes[start:])
        self.wanted = [want for want in self.wanted if want > self.frontier.size]

    def agrees(self, root: bytes) -> bool:
        """Tell whether the tree is the stored one, tile by tile up to its root."""
        return not self.wrong and not self.nodes and self.frontier.root() == root

    def _extend(self, hashes: Sequence[bytes]) -> None:
        self.wrong += [
            root
            for root in self.frontier.extend(hashes)
            if self.nodes.pop((root.level, root.index), None) != root.hash
        ]


def in_order(
    head: StoredHead, grown: Growth, first: int, nodes: Nodes
) -> tuple[int, Growth] | None:
    """Look whether the entries of the wrong tiles, in the order they were written, give the tree.

    Returns:
        The first place at which another entry belongs, and the sealed tree; None when the order
        is not what is wrong.
    """
    tiles = {root.index for root in grown.wrong if root.level == 1}
    tiles.add(head.size // TILE_WIDTH)  # the last one has no stored root
    places = [
        place
        for tile in sorted(tiles)
        for place in range(max(tile * TILE_WIDTH, first), min((tile + 1) * TILE_WIDTH, head.size))
    ]
    written = storage.by_insertion(head.log_id, places) if len(tiles) <= _MOST_TILES else []
    if not places or len(written) != len(places):
        return None
    right = dict(zip(places, written, strict=True))
    sealed = Growth(set(grown.roots) | {head.size}, nodes)
    stored = list(storage.hashes(head.log_id, 0, head.size)) if not first else []
    sealed.extend([right.get(place, digest) for place, digest in stored])
    if not stored or not sealed.agrees(head.root):
        return None
    return next(place for place, digest in stored if right.get(place, digest) != digest), sealed
