"""Filters on group values, in every spelling that callers use, and as SQL.

``filterGroupBy`` arrives as the repr of a Python dict (the OpenMeter client's own way), as JSON, or
as ``filterGroupBy[key]=value`` parameters. Advanced filters are the JSON operators of section 2.3.
"""

import ast
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from kernel.errors import Invalid

LONGEST: Final = 10_000
"""The longest filter text, in characters."""
DEEPEST: Final = 8
"""How deep $and and $or may nest."""
_COMPARE: Final = {"$eq": "=", "$ne": "<>", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_MATCH: Final = {
    "$like": "LIKE",
    "$nlike": "NOT LIKE",
    "$ilike": "ILIKE",
    "$nilike": "NOT ILIKE",
}
_MEMBER: Final = {"$in": "= ANY", "$nin": "<> ALL"}
_JOIN: Final = {"$and": " AND ", "$or": " OR "}


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on a text: texts to compare with, or conditions to join.

    Texts are compared by their bytes; ``collation`` is empty where they stand for times.
    """

    operator: str
    texts: tuple[str, ...] = ()
    inner: tuple["Condition", ...] = ()
    collation: str = ' COLLATE "C"'

    def sql(self, column: str, parameters: dict[str, Any]) -> str:
        """Write the condition on a text column, adding its texts to ``parameters``."""
        if self.operator in _JOIN:
            written = [condition.sql(column, parameters) for condition in self.inner]
            return f"({_JOIN[self.operator].join(written)})"
        name = f"filter{len(parameters)}"
        if self.operator in _MEMBER:
            parameters[name] = list(self.texts)
            return f"{column} {_MEMBER[self.operator]} (%({name})s)"
        parameters[name] = self.texts[0]
        if self.operator in _MATCH:
            return f"{column} {_MATCH[self.operator]} %({name})s"
        return f"{column} {_COMPARE[self.operator]} %({name})s{self.collation}"


def simple(values: Mapping[str, list[str]]) -> dict[str, Condition]:
    """Make the conditions of ``filterGroupBy``: each key is one of its values."""
    return {key: Condition("$in", tuple(texts)) for key, texts in values.items()}


def read_simple(text: str) -> dict[str, list[str]]:
    """Read ``filterGroupBy`` given as JSON or as a Python dict of text to text.

    Raises:
        kernel.errors.Invalid: neither of them, or too long.
    """
    if len(text) > LONGEST:
        raise _refused("filterGroupBy", "it is too long")
    try:
        read = json.loads(text)
    except RecursionError:
        raise _refused("filterGroupBy", "it is nested too deep") from None
    except ValueError:
        try:
            read = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            raise _refused("filterGroupBy", "it is neither JSON nor a dict of texts") from None
    return check_simple(read)


def check_simple(read: object) -> dict[str, list[str]]:
    """Check a decoded ``filterGroupBy``: texts, or lists of texts, by key.

    Raises:
        kernel.errors.Invalid: something else.
    """
    if not isinstance(read, dict):
        raise _refused("filterGroupBy", "it is no object")
    checked: dict[str, list[str]] = {}
    for key, value in read.items():
        texts = value if isinstance(value, list) else [value]
        if not isinstance(key, str) or not all(isinstance(text, str) for text in texts):
            raise _refused("filterGroupBy", "keys and values must be texts")
        checked[key] = texts
    return checked


def advanced(read: object) -> dict[str, Condition]:
    """Check decoded ``advancedMeterGroupByFilters``.

    Raises:
        kernel.errors.Invalid: an unknown operator, a value that is no text, too deep nesting.
    """
    if not isinstance(read, dict):
        raise _refused("advancedMeterGroupByFilters", "it is no object")
    return {str(key): _conditions(value, 0) for key, value in read.items()}


def read_advanced(text: str) -> dict[str, Condition]:
    """Read ``advancedMeterGroupByFilters`` given as JSON text.

    Raises:
        kernel.errors.Invalid: no JSON, too long, or refused by :func:`advanced`.
    """
    try:
        read = json.loads(text) if len(text) <= LONGEST else None
    except (ValueError, RecursionError):
        read = None
    return advanced(read)


def on_times(condition: Condition, read: Callable[[str], str]) -> Condition:
    """Turn a condition on texts into one on times, each text read by ``read``.

    Raises:
        kernel.errors.Invalid: an operator that times do not have; what ``read`` raises.
    """
    if condition.operator in _JOIN:
        return replace(condition, inner=tuple(on_times(one, read) for one in condition.inner))
    if condition.operator not in _COMPARE:
        raise _refused("filter", f"a time has no {condition.operator}")
    return replace(condition, texts=(read(condition.texts[0]),), collation="::timestamptz")


def _conditions(read: object, depth: int) -> Condition:
    if not isinstance(read, dict) or not read or depth > DEEPEST:
        raise _refused("advancedMeterGroupByFilters", "a filter is an object of operators")
    found = tuple(_condition(operator, value, depth) for operator, value in read.items())
    return found[0] if len(found) == 1 else Condition("$and", inner=found)


def _condition(operator: object, value: object, depth: int) -> Condition:
    if operator in _JOIN and isinstance(value, list) and value:
        return Condition(str(operator), inner=tuple(_conditions(item, depth + 1) for item in value))
    if operator in _MEMBER and isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            return Condition(str(operator), tuple(value))
    elif (operator in _COMPARE or operator in _MATCH) and isinstance(value, str):
        return Condition(str(operator), (value,))
    raise _refused("advancedMeterGroupByFilters", f"{operator} with this value is not known")


def _refused(name: str, reason: str) -> Invalid:
    return Invalid(f"{name} cannot be read: {reason}.", code="invalid_filter", pointer=f"/{name}")
