"""What entitlements tell the rest of the system."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from kernel.events import DomainEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageThresholdReached(DomainEvent):
    """Use of a metered feature reached a threshold, in percent of its limit, once in the period.

    ``usage`` and ``limit`` are exact decimals as text, the period's bounds RFC 3339. ``crossing``
    is the id under which ``GET /api/v1/usage/thresholds`` lists it.
    """

    name: ClassVar[str] = "usage.threshold_reached"

    crossing: str
    feature: str
    threshold: int
    usage: str
    limit: str
    period_start: str
    period_end: str
    tenant_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitlementChanged(DomainEvent):
    """An entitlement of a tenant's own was created, put in the place of another, or deleted.

    ``change`` is ``created``, ``replaced`` or ``deleted``; ``replaced`` names what it replaced.
    """

    name: ClassVar[str] = "entitlement.changed"

    entitlement: str
    feature: str
    change: str
    replaced: str | None = None
    tenant_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitlementReset(DomainEvent):
    """A usage period was ended early, at ``at``; the next one began."""

    name: ClassVar[str] = "entitlement.reset"

    entitlement: str
    feature: str
    at: str
    preserve_overage: bool
    tenant_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantCreated(DomainEvent):
    """A grant was given. Amounts are exact decimals as text, times RFC 3339."""

    name: ClassVar[str] = "grant.created"

    grant: str
    entitlement: str
    feature: str
    amount: str
    effective_at: str
    expires_at: str | None
    tenant_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantVoided(DomainEvent):
    """What is left of a grant cannot be used from ``at`` on."""

    name: ClassVar[str] = "grant.voided"

    grant: str
    entitlement: str
    feature: str
    at: str
    tenant_id: UUID
