"""Domain events: what happened, stored in the transaction that made it so.

``emit`` writes the outbox; a relay in the worker hands each event to its subscribers at least once.
A reaction runs at once, in the same transaction, for what must never be true apart.
"""

from kernel.events.event import DomainEvent
from kernel.events.outbox import emit
from kernel.events.registry import Registry, react, registry, subscribe

__all__ = ["DomainEvent", "Registry", "emit", "react", "registry", "subscribe"]
