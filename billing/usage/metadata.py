"""What callers may write beside a thing of theirs, and how much of it. Nothing here reads it."""

from collections.abc import Mapping
from typing import Final

from kernel.errors import FieldError

LONGEST_NAME: Final = 256
LONGEST_TEXT: Final = 1_024
MOST_ENTRIES: Final = 50


def text_fault(text: str, pointer: str, longest: int = LONGEST_TEXT) -> list[FieldError]:
    """Name a text that is too long."""
    if len(text) <= longest:
        return []
    return [FieldError(pointer, "too_long", f"A text has up to {longest} characters.")]


def metadata_faults(metadata: Mapping[str, str], pointer: str = "/metadata") -> list[FieldError]:
    """Name what is wrong with metadata: too many entries, too long keys and values."""
    if len(metadata) > MOST_ENTRIES:
        message = f"There are up to {MOST_ENTRIES} entries of metadata."
        return [FieldError(pointer, "too_many", message)]
    long = [
        key
        for key, value in metadata.items()
        if len(key) > LONGEST_NAME or len(value) > LONGEST_TEXT
    ]
    message = f"A key has up to {LONGEST_NAME}, a value up to {LONGEST_TEXT} characters."
    return [FieldError(f"{pointer}/{key[:LONGEST_NAME]}", "too_long", message) for key in long]
