"""Tile paths and entry bundles (C2SP tlog-tiles)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from audit.c2sp.errors import FormatError

FULL: Final = 256
MAX_LEVEL: Final = 63
MAX_ENTRY: Final = 65_535
_PREFIX = 2
_PATH = re.compile(
    r"(?P<level>entries|0|[1-9][0-9]?)/(?P<number>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True)
class TilePath:
    """One tile: `level` is None for entry bundles, `width` 256 when full, else 1..255."""

    level: int | None
    index: int
    width: int = FULL

    def __str__(self) -> str:
        level = "entries" if self.level is None else str(self.level)
        partial = "" if self.width == FULL else f".p/{self.width}"
        return f"tile/{level}/{number_path(self.index)}{partial}"


def number_path(index: int) -> str:
    """Return the index in groups of three digits: 1234067 becomes ``x001/x234/067``."""
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[start : start + 3] for start in range(0, len(digits), 3)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])


def parse_tile_path(path: str) -> TilePath:
    """Read ``<level>/<number>[.p/<width>]``, the part after ``tile/``.

    Raises:
        FormatError: for anything but the one spelling of a tile.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise FormatError("not a tile path")
    level = None if match["level"] == "entries" else int(match["level"])
    index = int(match["number"].replace("/", "").replace("x", ""))
    width = int(match["width"]) if match["width"] else FULL
    if (level or 0) > MAX_LEVEL or number_path(index) != match["number"]:
        raise FormatError("not a tile path")
    if match["width"] and width >= FULL:
        raise FormatError("a partial tile holds 1 to 255 hashes")
    return TilePath(level, index, width)


def tile_width(size: int, level: int | None, index: int) -> int:
    """Return how many hashes the tile has in a tree of `size` leaves: 0 (absent) to 256."""
    stored = size >> (8 * (level or 0))
    return max(0, min(FULL, stored - index * FULL))


def encode_entries(entries: Iterable[bytes]) -> bytes:
    """Return an entry bundle: each entry after its big-endian 16-bit length.

    Raises:
        FormatError: for an entry above 65,535 bytes.
    """
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise FormatError("an entry is longer than 65,535 bytes")
        parts += (len(entry).to_bytes(_PREFIX, "big"), entry)
    return b"".join(parts)


def decode_entries(bundle: bytes) -> list[bytes]:
    """Read an entry bundle.

    Raises:
        FormatError: when a length runs over the end.
    """
    entries: list[bytes] = []
    position = 0
    while position < len(bundle):
        start = position + _PREFIX
        end = start + int.from_bytes(bundle[position:start], "big")
        if start > len(bundle) or end > len(bundle):
            raise FormatError("an entry runs over the end of its bundle")
        entries.append(bundle[start:end])
        position = end
    return entries
