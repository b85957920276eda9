"""A tree kept in memory as tiles, for tests of everything that reads tiles."""

from collections.abc import Mapping, Sequence
from hashlib import sha256

from audit.tree.frontier import Frontier
from audit.tree.hashes import leaf_hash
from audit.tree.proofs import Tile


def leaves(count: int) -> list[bytes]:
    """Make `count` distinct leaf hashes."""
    return [leaf_hash(sha256(str(number).encode()).digest()) for number in range(count)]


class MemoryTiles:
    """Holds leaf hashes and tile roots by level, filled through a Frontier like the sealer does."""

    def __init__(self, hashes: Sequence[bytes]) -> None:
        self.frontier = Frontier()
        self.levels: dict[int, list[bytes]] = {0: list(hashes)}
        self.reads = 0
        for root in self.frontier.extend(hashes):
            self.levels.setdefault(root.level, []).append(root.hash)
            assert len(self.levels[root.level]) == root.index + 1

    def read(self, tiles: Sequence[Tile]) -> Mapping[Tile, Sequence[bytes]]:
        self.reads += len(tiles)
        return {
            tile: self.levels.get(tile.level, [])[tile.index * 256 : tile.index * 256 + tile.width]
            for tile in tiles
        }
