"""Tiles of a stored log: ranges of at most 256 rows, read in one round trip."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from audit.tree.frontier import TILE_WIDTH
from audit.tree.hashes import HASH_SIZE
from audit.tree.proofs import Tile
from kernel import db

# Each part is one range scan of a primary key, joined by the server: a row for each hash would
# cost the driver more than everything else in a proof.
_LEAVES: Final = """(SELECT %s AS ord, count(*),
  string_agg(leaf_hash, ''::bytea ORDER BY leaf_index)
  FROM audit_leaf WHERE log_id = %s AND leaf_index >= %s AND leaf_index < %s)"""
_NODES: Final = """(SELECT %s AS ord, count(*), string_agg(hash, ''::bytea ORDER BY idx)
  FROM audit_node WHERE log_id = %s AND level = %s AND idx >= %s AND idx < %s)"""


@dataclass(frozen=True, slots=True)
class DatabaseTiles:
    """The tiles of one log, read as the current role."""

    log_id: UUID

    def read(self, tiles: Sequence[Tile]) -> Mapping[Tile, Sequence[bytes]]:
        """Return the hashes of each tile; none at all of a tile from which one is missing."""
        parts: list[str] = []
        parameters: list[Any] = []
        for order, tile in enumerate(tiles):
            start = tile.index * TILE_WIDTH
            parts.append(_NODES if tile.level else _LEAVES)
            level = [tile.level] if tile.level else []
            parameters += [order, self.log_id, *level, start, start + tile.width]
        if not parts:
            return {}
        with db.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(parts), parameters)
            return {
                tiles[order]: _cut(bytes(joined))
                for order, count, joined in cursor.fetchall()
                if count == tiles[order].width
            }


def _cut(joined: bytes) -> list[bytes]:
    return [joined[start : start + HASH_SIZE] for start in range(0, len(joined), HASH_SIZE)]
