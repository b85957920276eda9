"""Permission expressions: ``a:read AND (b:write OR c:write)`` as alternatives of permission sets.

``AND`` binds tighter than ``OR``. The gate asks whether one of the alternatives is covered whole,
so an expression is expanded to its disjunctive normal form, bounded in size.
"""

import re
from functools import lru_cache
from itertools import accumulate

from kernel.authz import PERMISSION_PATTERN
from kernel.errors import Invalid

MAX_ALTERNATIVES = 64
MAX_LENGTH = 2048
MAX_DEPTH = 32
_TOKEN = re.compile(r"\s*(\(|\)|[^\s()]+)")
Alternatives = tuple[tuple[str, ...], ...]


@lru_cache(maxsize=1024)
def alternatives(expression: str) -> Alternatives:
    """Expand an expression.

    Raises:
        kernel.errors.Invalid: it does not parse, is nested more than 32 levels deep, or grows
            beyond 64 alternatives.
    """
    if len(expression) > MAX_LENGTH:
        raise _fault(f"the expression has {MAX_LENGTH} characters at most")
    tokens = _TOKEN.findall(expression)
    if _depth(tokens) > MAX_DEPTH:
        raise _fault(f"the expression is nested more than {MAX_DEPTH} levels deep")
    found, rest = _any(tokens)
    if rest or not tokens:
        raise _fault("the expression ends too early" if not rest else f"unexpected {rest[0]!r}")
    return tuple(tuple(dict.fromkeys(names)) for names in found)


def all_of(names: tuple[str, ...]) -> Alternatives:
    """Ask for every one of the named permissions.

    Raises:
        kernel.errors.Invalid: a name is not ``resource:action``.
    """
    return (tuple(_permission(name) for name in names),)


def _depth(tokens: list[str]) -> int:
    return max(accumulate((word == "(") - (word == ")") for word in tokens), default=0)


def _any(tokens: list[str]) -> tuple[list[list[str]], list[str]]:
    found, rest = _all(tokens)
    while rest[:1] == ["OR"]:
        more, rest = _all(rest[1:])
        found = _bounded(found + more)
    return found, rest


def _all(tokens: list[str]) -> tuple[list[list[str]], list[str]]:
    found, rest = _one(tokens)
    while rest[:1] == ["AND"]:
        more, rest = _one(rest[1:])
        found = _bounded([left + right for left in found for right in more])
    return found, rest


def _one(tokens: list[str]) -> tuple[list[list[str]], list[str]]:
    if not tokens:
        raise _fault("the expression ends too early")
    head, rest = tokens[0], tokens[1:]
    if head == "(":
        found, rest = _any(rest)
        if rest[:1] != [")"]:
            raise _fault("a parenthesis is not closed")
        return found, rest[1:]
    return [[_permission(head)]], rest


def _bounded(found: list[list[str]]) -> list[list[str]]:
    if len(found) > MAX_ALTERNATIVES:
        raise _fault(f"the expression has more than {MAX_ALTERNATIVES} alternatives")
    return found


def _permission(name: str) -> str:
    if "*" in name or not PERMISSION_PATTERN.fullmatch(name):
        raise _fault(f"{name!r} is not resource:action")
    return name


def _fault(detail: str) -> Invalid:
    return Invalid(f"permissions: {detail}.", pointer="/permissions")
