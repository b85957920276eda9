"""The catalogue of actions: what may be recorded, how it reads, what in it is personal.

Each app declares its actions in ``<app>/actions.py`` and registers them at start-up. A name is a
dotted, language-neutral code and never changes its meaning: a changed meaning is a new `schema`
version.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


class Severity(StrEnum):
    """How much attention an entry deserves."""

    INFO = "info"
    NOTICE = "notice"
    WARNING = "warning"
    CRITICAL = "critical"


class UnknownActionError(LookupError):
    """An action was recorded that no app registered: a fault of the program."""


@dataclass(frozen=True, slots=True)
class Action:
    """One kind of entry.

    Args:
        name: dotted code, ``noun.verb`` in the past tense: ``key.revoked``.
        severity: how much attention it deserves.
        template: how it reads; may name ``{actor}``, ``{target}`` and ``{tenant}``.
        personal: fields of before, after and metadata that are personal: committed to, erasable.
        secret: fields that must never be seen, in any form: masked before anything else happens.
        schema: version of the meaning of the entry's fields.
        help: one sentence for the catalogue page.
    """

    name: str
    severity: Severity
    template: str
    personal: frozenset[str] | tuple[str, ...] | list[str] = frozenset()
    secret: frozenset[str] | tuple[str, ...] | list[str] = frozenset()
    schema: int = 1
    help: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is not a dotted action name")
        object.__setattr__(self, "severity", Severity(self.severity))
        object.__setattr__(self, "personal", frozenset(self.personal))
        object.__setattr__(self, "secret", frozenset(self.secret))


class Registry:
    """All actions of the system. Names are unique, unknown names raise."""

    def __init__(self) -> None:
        self._by_name: dict[str, Action] = {}

    def register(self, *actions: Action) -> None:
        """Add actions.

        Raises:
            ValueError: a name is registered already.
        """
        for action in actions:
            if action.name in self._by_name:
                raise ValueError(f"action {action.name} is registered twice")
            self._by_name[action.name] = action

    def get(self, name: str) -> Action:
        """Return the action.

        Raises:
            UnknownActionError: nobody registered it.
        """
        try:
            return self._by_name[name]
        except KeyError as error:
            raise UnknownActionError(f"action {name!r} is in no app's actions.py") from error

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Action]:
        """Go through the actions by name."""
        return iter(sorted(self._by_name.values(), key=lambda action: action.name))


registry: Final = Registry()
register = registry.register
