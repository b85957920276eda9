"""What one erasure took: the openings of a person, named by entry and path, under one digest."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from uuid import UUID

DIGEST: Final = "openings"
"""The field of an erasure's metadata that holds the digest."""


@dataclass(frozen=True, slots=True)
class Erased:
    """The values of one entry whose openings were erased, by their paths."""

    event_id: UUID
    paths: tuple[str, ...]


def digest(parts: Iterable[Erased]) -> str:
    """Return the SHA-256, in hex, of a line for each value, in the order of entries and paths.

    A line: the entry's id, the length of the path in bytes of UTF-8, the path, separated by spaces
    and ended by U+000A.
    """
    lines = sorted((str(part.event_id), path) for part in parts for path in part.paths)
    found = sha256()
    for event, path in lines:
        text = path.encode()
        found.update(b"%s %d %s\n" % (event.encode(), len(text), text))
    return found.hexdigest()
