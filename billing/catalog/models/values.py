"""What a plan or an override can grant: typed values of features, and their one stored form.

Kinds: boolean, number (a whole number or unlimited), enum, json (an object), metered (an allowance
of a meter per period). *Unlimited* is a state of its own: -1 denies, null breaks clients, 0 means
nothing is allowed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final

import orjson

from kernel.errors import Invalid

MAX_INTEGER: Final = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly."""
MAX_QUANTITY: Final = Decimal(10) ** 20
"""Allowances stay below this, so that sums of them stay exact in numeric(38, 12)."""
MAX_JSON_BYTES: Final = 16_384
THRESHOLDS: Final = (50, 80, 100)
"""The percentages of a limit whose crossing is told where nothing else is said."""
MOST_THRESHOLDS: Final = 10
HIGHEST_THRESHOLD: Final = 1_000


class Kind(StrEnum):
    """The type of a feature's value."""

    BOOLEAN = "boolean"
    NUMBER = "number"
    ENUM = "enum"
    JSON = "json"
    METERED = "metered"


class Interval(StrEnum):
    """The calendar period after which a metered allowance starts anew."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Unlimited:
    """No bound at all."""

    def __bool__(self) -> bool:
        return True


UNLIMITED: Final = Unlimited()


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much of a meter may be used per period.

    ``limit`` is None where there is none. A soft limit is counted and reported, never refused.
    ``thresholds`` are the percentages of the limit whose crossing is told, ascending; None where
    the feature's own count, else :data:`THRESHOLDS`.
    """

    limit: Decimal | None
    period: Interval = Interval.MONTH
    soft: bool = False
    thresholds: tuple[int, ...] | None = None


Value = bool | int | Unlimited | str | dict[str, Any] | Allowance
Stored = bool | int | str | dict[str, Any]


def read(kind: Kind, raw: object, options: Mapping[str, Any], pointer: str = "/value") -> Value:
    """Turn input or stored JSON into a typed value of the kind.

    ``options`` narrow it: ``minimum`` and ``maximum`` for numbers, ``values`` for enums.

    Raises:
        kernel.errors.Invalid: another type, out of range, or not one of the allowed values.
    """
    match kind:
        case Kind.BOOLEAN:
            if isinstance(raw, bool):
                return raw
            raise Invalid("The value of a boolean feature is true or false.", pointer=pointer)
        case Kind.NUMBER:
            return _number(raw, options, pointer)
        case Kind.ENUM:
            if isinstance(raw, str) and raw in options.get("values", ()):
                return raw
            allowed = ", ".join(options.get("values", ()))
            raise Invalid(f"The value must be one of: {allowed}.", pointer=pointer)
        case Kind.JSON:
            return _json(raw, pointer)
        case Kind.METERED:
            return _allowance(raw, pointer)


def write(value: Value) -> Stored:
    """Give the stored JSON form of a value; :func:`read` turns it back into an equal one."""
    match value:
        case Unlimited():
            return {"unlimited": True}
        case Allowance(limit=None, period=period):
            return {"unlimited": True, "period": period.value}
        case Allowance(limit=limit, period=period, soft=soft, thresholds=thresholds):
            stored: dict[str, Any] = {"limit": f"{limit:f}", "period": period.value}
            if soft:
                stored["soft"] = True
            if thresholds is not None:
                stored["thresholds"] = list(thresholds)
            return stored
        case _:
            return value


def _number(raw: object, options: Mapping[str, Any], pointer: str) -> Value:
    if raw == {"unlimited": True}:
        return UNLIMITED
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise Invalid('The value is a whole number or {"unlimited": true}.', pointer=pointer)
    lowest, highest = options.get("minimum", 0), options.get("maximum", MAX_INTEGER)
    if not lowest <= raw <= highest:
        raise Invalid(f"The value must lie between {lowest} and {highest}.", pointer=pointer)
    return raw


def _json(raw: object, pointer: str) -> Value:
    if not isinstance(raw, dict):
        raise Invalid("The value of a json feature is an object.", pointer=pointer)
    if len(orjson.dumps(raw)) > MAX_JSON_BYTES:
        raise Invalid(f"The object is larger than {MAX_JSON_BYTES} bytes.", pointer=pointer)
    return raw


def _allowance(raw: object, pointer: str) -> Value:
    if not isinstance(raw, dict):
        raise Invalid(
            'The value is {"limit": number} or {"unlimited": true}, with period, soft, thresholds.',
            pointer=pointer,
        )
    unknown = set(raw) - {"limit", "unlimited", "period", "soft", "thresholds"}
    if unknown:
        raise Invalid(f"Unknown member {sorted(unknown)[0]!r}.", pointer=pointer)
    try:
        period = Interval(raw.get("period", Interval.MONTH))
    except ValueError:
        raise Invalid(
            "The period is day, week, month or year.", pointer=f"{pointer}/period"
        ) from None
    soft = raw.get("soft", False)
    if not isinstance(soft, bool):
        raise Invalid("soft is true or false.", pointer=f"{pointer}/soft")
    if raw.get("unlimited") is True and "limit" not in raw:
        return Allowance(None, period)
    limit = quantity(raw.get("limit"), f"{pointer}/limit")
    return Allowance(limit, period, soft, thresholds(raw.get("thresholds"), pointer))


def thresholds(raw: object, pointer: str) -> tuple[int, ...] | None:
    """Read percentages of a limit: whole numbers, ascending; an empty list tells of nothing.

    Raises:
        kernel.errors.Invalid: anything else; too many, or out of range.
    """
    if raw is None:
        return None
    whole = isinstance(raw, list) and all(type(item) is int for item in raw)
    if (
        not isinstance(raw, list)
        or not whole
        or len(raw) > MOST_THRESHOLDS
        or any(not 1 <= item <= HIGHEST_THRESHOLD for item in raw)
        or sorted(set(raw)) != raw
    ):
        raise Invalid(
            f"Thresholds are up to {MOST_THRESHOLDS} ascending whole percentages from 1 to"
            f" {HIGHEST_THRESHOLD}.",
            pointer=f"{pointer}/thresholds",
        )
    return tuple(raw)


def quantity(raw: object, pointer: str) -> Decimal:
    """Read an amount: a JSON number or a numeric string, at least 0, at most 12 decimal places.

    Raises:
        kernel.errors.Invalid: anything else; NaN and infinity included.
    """
    if isinstance(raw, bool) or not isinstance(raw, int | float | str | Decimal):
        raise Invalid("A number, or a string that holds one, is needed.", pointer=pointer)
    try:
        amount = Decimal(str(raw))
    except InvalidOperation:
        raise Invalid("The string holds no number.", pointer=pointer) from None
    if not amount.is_finite() or not 0 <= amount < MAX_QUANTITY:
        raise Invalid(f"The amount must lie in [0, {MAX_QUANTITY:f}).", pointer=pointer)
    if amount != amount.quantize(Decimal("1e-12")):
        raise Invalid("An amount has at most 12 decimal places.", pointer=pointer)
    return amount
