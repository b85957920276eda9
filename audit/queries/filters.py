"""What the parameters of a list of entries ask for, as conditions on its rows."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from audit.models import Outcome
from kernel import ids
from kernel.errors import Invalid

_MILLISECONDS: Final = 80
_LONGEST_SEARCH: Final = 200
FIRST: Final = uuid.UUID(int=0)
PAST: Final = uuid.UUID(int=2**128 - 1)
"""Bounds of all ids; the second one is excluded, and no entry's."""
_EXACT: Final = ("actor_type", "target_type", "request_id")


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on a row ``e`` with its value, or a tuple of them: each ``{}`` in its text."""

    text: str
    value: Any
    is_steady: bool = True
    """Whether the best plan is the same for every value."""
    leads: str = ""
    """The column that has to be equal to the value, where an index leads with it to the ids."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Entries with ids from ``since`` on and below ``before`` that meet all conditions."""

    conditions: tuple[Condition, ...] = ()
    since: uuid.UUID = FIRST
    before: uuid.UUID = PAST
    words: str = ""

    def __and__(self, other: "Filter") -> "Filter":
        """Ask for what both ask for; one of them at most searches."""
        return Filter(
            self.conditions + other.conditions,
            max(self.since, other.since),
            min(self.before, other.before),
            self.words or other.words,
        )


def read(query: Mapping[str, str]) -> Filter:
    """Read the parameters of a list route.

    ``action`` (exact, or a prefix ending in ``.*``), ``actor``, ``actor_type``, ``target``,
    ``target_type``, ``outcome``, ``request_id``, ``from`` and ``to`` (RFC 3339, when the entry was
    made, ``to`` exclusive), ``q`` (full text of what is sealed). Others are not looked at.

    Raises:
        kernel.errors.Invalid: a parameter is malformed.
    """
    return Filter(
        tuple(_conditions(query)),
        _first_id(moment(query["from"], "/query/from")) if query.get("from") else FIRST,
        _first_id(moment(query["to"], "/query/to")) if query.get("to") else PAST,
        _words(query.get("q", "")),
    )


def _conditions(query: Mapping[str, str]) -> Iterable[Condition]:
    action = query.get("action", "")
    if action.endswith(".*"):
        yield Condition("starts_with(e.action, {}::text)", action[:-1], is_steady=False)
    elif action:
        yield _equal("action", action)
    for name in ("actor", "target"):
        if given := query.get(name, ""):
            yield _identified(f"{name}_id", spellings(given))
    for name in _EXACT:
        if given := query.get(name, ""):
            yield Condition(f"e.{name} = {{}}::text", given)
    if outcome := query.get("outcome", ""):
        if outcome not in Outcome.values:
            raise Invalid("outcome is success, denied or failed.", pointer="/query/outcome")
        yield Condition("e.outcome = {}::text", outcome)


def _identified(column: str, known: list[str]) -> Condition:
    if len(known) == 1:
        return _equal(column, known[0])
    return Condition(f"e.{column} = ANY ({{}}::text[])", known, is_steady=False)


def _equal(column: str, value: str) -> Condition:
    return Condition(f"e.{column} = {{}}::text", value, leads=column)


def spellings(identifier: str) -> list[str]:
    """Return an id as it was given, and as the plain UUID it may stand for."""
    prefix, _, _ = identifier.rpartition("_")
    plain = ids.read(prefix, identifier)
    return [identifier] if plain is None else [identifier, str(plain)]


def moment(text: str, pointer: str) -> datetime:
    """Read a time of a filter, as UTC; a naive one is that already.

    Raises:
        kernel.errors.Invalid: it is none.
    """
    try:
        read = datetime.fromisoformat(text)
        return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid("An RFC 3339 time is needed here.", pointer=pointer) from error


def _first_id(at: datetime) -> uuid.UUID:
    """Give the lowest id that can be made at a time: the list's own index serves times so."""
    milliseconds = max(0, min(int(at.timestamp() * 1000), 2**48 - 1))
    return uuid.UUID(int=milliseconds << _MILLISECONDS)


def _words(text: str) -> str:
    if len(text) > _LONGEST_SEARCH or "\x00" in text:
        raise Invalid("q is a text of at most 200 characters.", pointer="/query/q")
    return text
