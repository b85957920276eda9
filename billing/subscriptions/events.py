"""What subscriptions tell the rest of the system."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from kernel.events import DomainEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionChanged(DomainEvent):
    """A tenant has another plan version from ``at`` on. ``previous`` is None for its first."""

    name: ClassVar[str] = "subscription.changed"

    subscription: str
    plan: str
    version: int
    previous: str | None
    at: str
    tenant_id: UUID
