"""Identifiers: UUIDv7 inside, prefixed text outside.

A UUIDv7 (RFC 9562 section 5.7) sorts by the time of its creation, so one column serves as primary
key, as creation order and as pagination cursor. Outside it is shown as ``<prefix>_<26 characters>``
in Crockford's base 32 (lower case), the form of the TypeID specification 0.3.
"""

import os
import time
import uuid

TENANT = "ten"
"""The prefix of tenants' ids, which every app shows."""
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_LENGTH = 26
_MAX = 2**128
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


class InvalidIdError(ValueError):
    """The text is no identifier of the wanted kind; an API answers as for an unknown one."""


def new_id() -> uuid.UUID:
    """Make a UUIDv7 from the clock (ms, UTC) and 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def encode(prefix: str, value: uuid.UUID) -> str:
    """Show ``value`` as ``<prefix>_<26 characters>``."""
    number = value.int
    pairs = [_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)]
    return f"{prefix}_{''.join(pairs)}"


def decode(prefix: str, text: str) -> uuid.UUID:
    """Read what :func:`encode` wrote.

    Raises:
        InvalidIdError: another prefix, another length or a character outside the alphabet.
    """
    value = read(prefix, text)
    if value is None:
        raise InvalidIdError(text)
    return value


def read(prefix: str, text: str) -> uuid.UUID | None:
    """Read what :func:`encode` wrote; None for anything else, such as a key in an id's place."""
    head, separator, tail = text.rpartition("_")
    if not separator or head != prefix or len(tail) != _LENGTH:
        return None
    number = 0
    for character in tail:
        digit = _VALUES.get(character)
        if digit is None:
            return None
        number = number << 5 | digit
    return uuid.UUID(int=number) if number < _MAX else None
