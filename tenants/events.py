"""What tenants tells the rest of the system."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from kernel.events import DomainEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantCreated(DomainEvent):
    """A tenant exists, with its plan and its owner."""

    name: ClassVar[str] = "tenant.created"

    slug: str
    title: str
    plan: str
    tenant_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRenamed(DomainEvent):
    """The tenant has another name; ``was`` is the one before."""

    name: ClassVar[str] = "tenant.renamed"

    slug: str
    title: str
    was: str
    tenant_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSuspended(DomainEvent):
    """The tenant's keys are refused."""

    name: ClassVar[str] = "tenant.suspended"

    slug: str
    tenant_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRestored(DomainEvent):
    """The tenant is active again; ``was`` says what it was before."""

    name: ClassVar[str] = "tenant.restored"

    slug: str
    was: str
    tenant_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantClosed(DomainEvent):
    """To its keys the tenant is gone."""

    name: ClassVar[str] = "tenant.closed"

    slug: str
    tenant_id: UUID
