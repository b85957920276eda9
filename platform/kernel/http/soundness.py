"""What no request may hold, refused once at the door instead of wherever it would break something.

PostgreSQL keeps no text with U+0000, and libpq ends a value there; code that goes through a value
level by level runs out of stack where there are too many.
"""

from typing import Any, Final

import msgspec

from kernel.errors import Invalid

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
