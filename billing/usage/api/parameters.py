"""Query parameters and JSON bodies of usage, read into typed values."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec
from django.http import QueryDict

from kernel.errors import FieldError, Invalid

S = TypeVar("S")
MOST: Final = 1000
"""The largest page, where a contract sets none."""
_WHOLE: Final = re.compile(r"[0-9]{1,9}")
_FIRST: Final = datetime(2, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(9998, 12, 31, tzinfo=UTC)


def body(kind: type[S], data: object) -> S:
    """Read a decoded JSON body into a struct.

    Raises:
        kernel.errors.Invalid: a field breaks its type; the pointer names it.
    """
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        place = place.rstrip("`").replace("[...]", "")  # a value of a map: msgspec names no key
        pointer = place.replace(".", "/").replace("[", "/").replace("]", "")
        faults = [FieldError(pointer, "invalid", message)]
        raise Invalid(f"{message}.", errors=faults) from None


def time(query: Mapping[str, Any], name: str) -> datetime | None:
    """Read an RFC 3339 time; naive ones are UTC.

    Raises:
        kernel.errors.Invalid: it is none.
    """
    text = query.get(name)
    if not text:
        return None
    try:
        read: datetime = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        message = f"{name} is a time like 2026-01-31T08:30:00Z."
        raise Invalid(message, pointer=f"/query/{name}") from None
    return aware(read)


def aware(read: datetime) -> datetime:
    """Take a naive time as UTC; one at the edge of the calendar as a year inside of it.

    Some callers say "always" by the year 1 or 9999, from where no arithmetic leads on.
    """
    return min(max(read if read.tzinfo else read.replace(tzinfo=UTC), _FIRST), _LAST)


def number(
    query: Mapping[str, Any], name: str, default: int, most: int = MOST, *, least: int = 1
) -> int:
    """Read a whole number from ``least`` to ``most``.

    Raises:
        kernel.errors.Invalid: it is none, or out of range.
    """
    text = query.get(name) or str(default)
    if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
        raise Invalid(f"{name} is a whole number from {least} to {most}.", pointer=f"/query/{name}")
    return int(text)


def flag(query: Mapping[str, Any], name: str) -> bool:
    """Read a truth value: true or 1 for yes, everything else for no."""
    return str(query.get(name, "")).lower() in {"true", "1"}


def choice(query: Mapping[str, Any], name: str, default: str, options: Any) -> str:
    """Read one of some words.

    Raises:
        kernel.errors.Invalid: it is none of them.
    """
    text = query.get(name) or default
    if text not in options:
        raise Invalid(f"{name} is one of {', '.join(options)}.", pointer=f"/query/{name}")
    return str(text)


def deep(query: QueryDict, name: str) -> dict[str, list[str]]:
    """Read the deep-object spelling ``name[key]=value``, each key any number of times."""
    start = f"{name}["
    return {
        key[len(start) : -1]: query.getlist(key)
        for key in query
        if key.startswith(start) and key.endswith("]")
    }
