"""RFC 8785 (JCS) on the subset where it needs no number formatting.

Allowed: objects with keys of printable ASCII (which sort alike by code point and by UTF-16 unit),
strings without lone surrogates, integers below 2**53, booleans, null, arrays. On this subset
orjson and Python's own encoder write the same bytes as RFC 8785 (the tests compare both with the
`rfc8785` package). Floats are refused, never re-encoded: decimals and money are strings.
"""

import json
import re
from collections.abc import Iterable
from typing import Final

import orjson

Value = None | bool | int | str | list["Value"] | dict[str, "Value"]

MAX_INTEGER: Final = 2**53 - 1
KEY: Final = re.compile(r"[ -~]+")
_encoder = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False, check_circular=False
)


# Integers are bounded here, and a subclass of str is no str: orjson refuses both by itself.
_OPTIONS: Final = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER | orjson.OPT_PASSTHROUGH_SUBCLASS
_SCALARS: Final = frozenset({str, int, bool, type(None)})


class EncodingRefusedError(ValueError):
    """The document leaves the subset on which one byte form is certain."""


def encode(document: Value) -> bytes:
    """Return the canonical bytes.

    Raises:
        EncodingRefusedError: on floats, big integers, odd keys, lone surrogates and other types.
    """
    if _fits(document):
        try:
            return orjson.dumps(document, option=_OPTIONS)
        except orjson.JSONEncodeError:
            pass  # refused below, or nested deeper than orjson goes
    _check(document, "")
    try:
        return _encoder.encode(document).encode()
    except UnicodeEncodeError as error:
        raise EncodingRefusedError("a string holds a lone surrogate") from error


def _fits(value: object) -> bool:
    """Tell whether only what orjson itself bounds can still be wrong: faster than `_check`."""
    kind = type(value)
    if kind is dict:
        for key in value:  # type: ignore[attr-defined]  # kind is dict
            if type(key) is not str or not (key and key.isascii() and key.isprintable()):
                return False  # as KEY has it, in a third of the time
        return _all_fit(value.values())  # type: ignore[attr-defined]  # kind is dict
    if kind is list:
        return _all_fit(value)  # type: ignore[arg-type]  # kind is list
    return kind in _SCALARS


def _all_fit(values: Iterable[object]) -> bool:
    for value in values:  # noqa: SIM110 - a generator costs more than what it would walk through
        if type(value) not in _SCALARS and not _fits(value):
            return False
    return True


def _check(value: object, path: str) -> None:
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return
    if kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:  # type: ignore[operator]  # kind is int
            raise EncodingRefusedError(f"{path or '/'}: integer beyond 2**53 - 1")
    elif kind is dict:
        for key, entry in value.items():  # type: ignore[attr-defined]  # kind is dict
            if type(key) is not str or not KEY.fullmatch(key):
                raise EncodingRefusedError(f"{path}/{key!r}: a key is printable ASCII")
            _check(entry, f"{path}/{key}")
    elif kind is list:
        for position, entry in enumerate(value):  # type: ignore[arg-type]  # kind is list
            _check(entry, f"{path}/{position}")
    else:
        raise EncodingRefusedError(f"{path or '/'}: {kind.__name__} has no certain byte form")
