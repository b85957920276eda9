"""Turns the values of models into the plain ones an entry may hold."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

from audit.encoding.canonical import KEY, MAX_INTEGER, EncodingRefusedError, Value


def plain(value: object) -> Value:
    """Return `value` as JSON of the canonical subset.

    Ids, times (UTC, RFC 3339), decimals and integers beyond 2**53 - 1 become strings, enumerations
    their value, tuples lists, sets sorted lists. An object with a key that the subset
    has not becomes a list of its members.

    Raises:
        EncodingRefusedError: for floats, naive times and types without an agreed text.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value  # type: ignore[return-value]  # nearly every value is one of these
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value) if -MAX_INTEGER <= value <= MAX_INTEGER else str(value)
    if isinstance(value, Mapping):
        return _object({str(key): plain(entry) for key, entry in value.items()})
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(entry) for entry in value), key=str)
    return _text(value)


def _object(fields: dict[str, Value]) -> Value:
    if all(KEY.fullmatch(key) for key in fields):
        return fields
    return [{"key": key, "value": entry} for key, entry in fields.items()]


def timestamp(moment: datetime) -> str:
    """Return an aware time as RFC 3339 in UTC with microseconds."""
    if moment.tzinfo is None:
        raise EncodingRefusedError("a time without zone has no certain meaning")
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, UUID | Decimal):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    raise EncodingRefusedError(f"{type(value).__name__} has no agreed text")
