"""Who hears what. The composition root fills the registry; names are checked at start."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from kernel.events.event import DomainEvent


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event as the relay hands it to a subscriber, perhaps again: dedupe by ``id``."""

    id: UUID
    name: str
    tenant_id: UUID | None
    occurred_at: datetime
    payload: dict[str, Any]
    attempt: int


class UnknownEventError(LookupError):
    """Somebody hears an event that no class describes: a misspelt name."""


Subscriber = Callable[[Delivery], None]
Reaction = Callable[[Any], None]


class Registry:
    """Subscribers by event name and own name, reactions by event name."""

    def __init__(self) -> None:
        self._subscribers: dict[str, dict[str, Subscriber]] = {}
        self._reactions: dict[str, list[Reaction]] = {}

    def subscribe(self, event: str, subscriber: str, handler: Subscriber) -> None:
        """Let ``handler`` hear ``event`` in the worker, under the stable name ``subscriber``.

        Raises:
            ValueError: the name hears this event already.
        """
        heard = self._subscribers.setdefault(event, {})
        if subscriber in heard:
            raise ValueError(f"{subscriber} subscribes to {event} twice")
        heard[subscriber] = handler

    def react(self, event: str, reaction: Reaction) -> None:
        """Run ``reaction`` with the event itself, inside the transaction that emits it.

        Raises:
            ValueError: the reaction is registered already.
        """
        known = self._reactions.setdefault(event, [])
        if reaction in known:
            raise ValueError(f"{reaction.__qualname__} reacts to {event} twice")
        known.append(reaction)

    def subscribers(self, event: str) -> dict[str, Subscriber]:
        """Give the subscribers of an event by name."""
        return self._subscribers.get(event, {})

    def reactions(self, event: DomainEvent) -> list[Reaction]:
        """Give the reactions to an event, in the order of their registration."""
        return self._reactions.get(event.name, [])

    def names(self) -> set[str]:
        """List the event names that somebody hears."""
        return set(self._subscribers) | set(self._reactions)

    def check(self) -> None:
        """Compare what is heard with the events that exist; the composition root calls it.

        Raises:
            UnknownEventError: an event is heard that no imported DomainEvent class names.
        """
        if unknown := self.names() - _declared(DomainEvent):
            raise UnknownEventError(", ".join(sorted(unknown)))


def _declared(base: type[DomainEvent]) -> set[str]:
    own = {base.name} if "name" in vars(base) else set()
    return own.union(*map(_declared, base.__subclasses__()))


registry = Registry()
subscribe = registry.subscribe
react = registry.react
