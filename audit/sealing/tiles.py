"""Tiles of a stored log: ranges of at most 256 rows, read in one round trip."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from audit.tree.frontier import TILE_WIDTH
from audit.tree.proofs import Tile
from kernel import db

# Each part is one range scan of a primary key; `ord` says whose rows they are.
_LEAVES: Final = """(SELECT %s AS ord, leaf_index AS idx, leaf_hash AS hash FROM audit_leaf
  WHERE log_id = %s AND leaf_index >= %s AND leaf_index < %s)"""
_NODES: Final = """(SELECT %s AS ord, idx, hash FROM audit_node
  WHERE log_id = %s AND level = %s AND idx >= %s AND idx < %s)"""


@dataclass(frozen=True, slots=True)
class DatabaseTiles:
    """The tiles of one log, read as the current role."""

    log_id: UUID

    def read(self, tiles: Sequence[Tile]) -> Mapping[Tile, Sequence[bytes]]:
        """Return the hashes of each tile; of a damaged log perhaps fewer."""
        found: dict[Tile, list[bytes]] = {tile: [] for tile in tiles}
        parts: list[str] = []
        parameters: list[Any] = []
        for order, tile in enumerate(tiles):
            start = tile.index * TILE_WIDTH
            parts.append(_NODES if tile.level else _LEAVES)
            level = [tile.level] if tile.level else []
            parameters += [order, self.log_id, *level, start, start + tile.width]
        if not parts:
            return found
        with db.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(parts) + " ORDER BY 1, 2", parameters)
            for order, _, digest in cursor.fetchall():
                found[tiles[order]].append(bytes(digest))
        return found
