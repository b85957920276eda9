"""What no request may hold, refused once at the door instead of wherever it would break something.

PostgreSQL keeps no text with U+0000, and libpq ends a value there; code that goes through a value
level by level runs out of stack where there are too many.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from kernel.errors import HeadTooLarge, Invalid

LARGEST_HEAD: Final = 32 * 1024
"""Characters of a request's address and header fields together."""
DEEPEST: Final = 64
"""Levels of lists and objects in a JSON body."""
_NUL: Final = "\0"
_NUL_IN_JSON: Final = b"\\u0000"
_NUL_IN_QUERY: Final = "%00"


def check_address(path: str, query: str) -> None:
    """Look at a decoded path and an encoded query string.

    Raises:
        kernel.errors.Invalid: one of them holds U+0000 (code ``malformed_request``).
    """
    if _NUL in path or _NUL_IN_QUERY in query or _NUL in query:
        raise Invalid("An address holds no character U+0000.", code="malformed_request")


def check_head(environ: Mapping[str, Any]) -> None:
    """Look at all that stands before a body: 2 µs. The server itself ends at 100 header fields.

    Raises:
        kernel.errors.HeadTooLarge: it is longer than :data:`LARGEST_HEAD`.
    """
    if sum([len(text) for text in environ.values() if type(text) is str]) > LARGEST_HEAD:
        raise HeadTooLarge(f"Address and headers have {LARGEST_HEAD} bytes together at most.")


def check_json(body: bytes, read: Any = msgspec.UNSET) -> None:
    """Look at a JSON body; ``read`` is what it was decoded to, if that is plain lists and objects.

    Nearly every body is sound by its bytes alone, in nanoseconds.

    Raises:
        kernel.errors.Invalid: a text in it holds U+0000, or it is nested more than
            :data:`DEEPEST` levels deep (code ``malformed_body``).
    """
    if _NUL_IN_JSON in body or body.count(b"{") + body.count(b"[") > DEEPEST:
        _check_levels(msgspec.json.decode(body) if read is msgspec.UNSET else read)


def _check_levels(read: Any) -> None:
    level, depth = [read], 0
    while level:
        if depth > DEEPEST:
            message = f"The body is nested more than {DEEPEST} levels deep."
            raise Invalid(message, code="malformed_body")
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += value
                below += value.values()
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str) and _NUL in value:
                message = "The body holds the character U+0000, which no text can keep."
                raise Invalid(message, code="malformed_body")
        level, depth = below, depth + 1
