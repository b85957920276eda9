"""Writes a log as a C2SP tlog-tiles directory that anybody can verify offline.

checkpoint                  the signed note
tile/<level>/<n>[.p/<w>]    hashes
tile/entries/<n>[.p/<w>]    the hashed bytes of the entries
vkeys                       the keys that may sign, one a line (compare them over another way)
openings.ndjson             {"index", "path", "salt", "value"} of personal values not erased
erased.ndjson, erasures/     what erasures took, and the proofs of that (ADR 0132)
blobs/<sha-256>             changes too large for their entries
pruned                      the signed statement of what retention has let go: there an entry's
                            length in its bundle is 0, and the tile has its hash (ADR 0107)
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import UUID

from audit.c2sp.tiles import FULL, TilePath, encode_entries, tile_width
from audit.exports import erasures
from audit.models import Head
from audit.pruning import ranges
from audit.queries import logs, proofs, retention
from audit.queries.retention import Pruned
from audit.sealing.keys import ring
from audit.sealing.tiles import DatabaseTiles
from audit.tree.proofs import Tile
from kernel import db
from kernel.errors import Unavailable

_LEVELS: Final = 8


def write(head: Head, directory: Path) -> int:
    """Write what of the log is signed, in the context of its tenant; return how many entries.

    That is its present state, unless the log lost published entries: nothing of it is signed anew.

    Memory stays bounded by one tile. Existing files of an older bundle of the same log are kept:
    full tiles never change.

    Raises:
        kernel.errors.Unavailable: the stored log lacks entries or hashes: it was tampered with; or
            an erasure has not been sealed yet.
        audit.sealing.checkpoints.ForkRefusedError: the log lacks a published state, and no older
            note fits it.
    """
    published = proofs.signed_part(head.log_id)
    pruned = retention.pruned_of(head.log_id)
    for path in _tiles(published.size):
        target = directory / str(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_content(head.log_id, path, pruned))
    if pruned is not None:
        (directory / "pruned").write_text(pruned.statement)
    _write_blobs(head.log_id, published.size, directory / "blobs")
    _write_openings(head.log_id, published.size, directory / "openings.ndjson")
    erasures.write(head.log_id, published.size, directory)
    keys = ring().verifiers(head.origin)
    (directory / "vkeys").write_text("".join(f"{key.vkey}\n" for pair in keys for key in pair))
    (directory / "checkpoint").write_text(published.note)
    return published.size


def _tiles(size: int) -> Iterator[TilePath]:
    """Go through every tile that a log of `size` entries has, entry bundles included."""
    for level in (None, *range(_LEVELS)):
        index = 0
        while width := tile_width(size, level, index):
            yield TilePath(level, index, width)
            index += 1


def _content(log_id: UUID, path: TilePath, pruned: Pruned | None) -> bytes:
    start = path.index * FULL
    if path.level is None:
        found = {index: leaf for index, _, leaf in logs.entries(log_id, start, start + path.width)}
        if len(found) != path.width:
            gone = set(range(start, start + path.width)) - found.keys()
            if pruned is None or not all(ranges.covers(pruned.ranges, one) for one in gone):
                raise Unavailable("The stored log lacks entries; see audit_verify.")
        return encode_entries(found.get(start + at, b"") for at in range(path.width))
    tile = Tile(path.level, path.index, path.width)
    hashes = DatabaseTiles(log_id).read([tile]).get(tile)
    if hashes is None:
        raise Unavailable("The stored log lacks hashes; see audit_verify.")
    return b"".join(hashes)


def _write_blobs(log_id: UUID, size: int, directory: Path) -> None:
    """Write the blobs one at a time; each is named after the digest that its entry holds."""
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT b.event_id FROM audit_blob b JOIN audit_leaf l ON l.event_id = b.event_id "
            "WHERE l.log_id = %s AND l.leaf_index < %s",
            [log_id, size],
        )
        wanted = [row[0] for row in cursor.fetchall()]
        for event in wanted:
            cursor.execute("SELECT body FROM audit_blob WHERE event_id = %s", [event])
            body = bytes(cursor.fetchone()[0])
            directory.mkdir(exist_ok=True)
            (directory / sha256(body).hexdigest()).write_bytes(body)


def _write_openings(log_id: UUID, size: int, path: Path) -> None:
    with path.open("w") as file:
        for start in range(0, size, FULL):
            for index, document in _openings(log_id, start, min(start + FULL, size)):
                for field, salt, value in _fields(document):
                    line = {"index": index, "path": field, "salt": salt, "value": value}
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _fields(document: str) -> Iterator[tuple[str, str, str]]:
    try:
        for path, (salt, value) in json.loads(document).items():
            yield path, salt, value
    except (AttributeError, TypeError, ValueError) as error:
        raise Unavailable(
            "The stored log holds openings that are none; see audit_verify."
        ) from error


def _openings(log_id: UUID, start: int, stop: int) -> list[tuple[int, str]]:
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT l.leaf_index, p.doc::text FROM audit_leaf l "
            "JOIN audit_pii p ON p.event_id = l.event_id "
            "WHERE l.log_id = %s AND l.leaf_index >= %s AND l.leaf_index < %s "
            "ORDER BY l.leaf_index, p.subject_id",
            [log_id, start, stop],
        )
        return list(cursor.fetchall())
