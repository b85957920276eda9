"""Salted commitments: a personal value is proven by the tree without standing in it.

The leaf holds ``"c:" + base64url(HMAC-SHA-256(salt, path ‖ 0x00 ‖ value))``; salt and value stand
beside the tree and can be erased. Without the 128-bit salt the value cannot be found by trying
candidates.
"""

import hmac
import secrets
from binascii import b2a_base64
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "c:"
_SIZE: Final = len(PREFIX) + 43
SALT_SIZE: Final = 16
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


@dataclass(slots=True)
class Opening:
    """What shows that a commitment stands for `value`: the only erasable part of an entry."""

    salt: bytes
    value: str


def commit(path: str, value: str) -> tuple[str, Opening]:
    """Commit to the value of the leaf's field `path` (dotted) under a fresh salt."""
    opening = Opening(secrets.token_bytes(SALT_SIZE), value)
    return commitment(path, opening), opening


def commitment(path: str, opening: Opening) -> str:
    """Return the commitment that the opening leads to at `path`."""
    message = path.encode() + b"\x00" + opening.value.encode()
    digest = hmac.digest(opening.salt, message, "sha256")
    return PREFIX + b2a_base64(digest, newline=False).translate(_URL_SAFE, b"=").decode()


def is_commitment(value: object) -> bool:
    """Tell whether a value of a leaf has the form of a commitment."""
    return isinstance(value, str) and len(value) == _SIZE and value.startswith(PREFIX)


def opens(path: str, committed: str, opening: Opening) -> bool:
    """Tell whether the opening fits the commitment."""
    return hmac.compare_digest(commitment(path, opening), committed)
