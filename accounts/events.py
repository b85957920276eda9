"""What accounts tells the rest of the system. No event carries a secret or an e-mail address."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from kernel.events import DomainEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCreated(DomainEvent):
    """A tenant key was issued."""

    name: ClassVar[str] = "key.created"

    key: str
    title: str
    tenant_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRevoked(DomainEvent):
    """A tenant key ended for good."""

    name: ClassVar[str] = "key.revoked"

    key: str
    title: str
    tenant_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotated(DomainEvent):
    """A tenant key has a successor, and works beside it until ``ends_at`` (ISO 8601)."""

    name: ClassVar[str] = "key.rotated"

    key: str
    successor: str
    ends_at: str
    title: str
    tenant_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberAdded(DomainEvent):
    """A person became a member of the tenant."""

    name: ClassVar[str] = "member.added"

    member: str
    role: str
    tenant_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberChanged(DomainEvent):
    """A member's role changed from ``was`` to ``role``; equal where only the name changed."""

    name: ClassVar[str] = "member.changed"

    member: str
    role: str
    was: str
    tenant_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRemoved(DomainEvent):
    """A person is no member of the tenant any more."""

    name: ClassVar[str] = "member.removed"

    member: str
    role: str
    tenant_id: UUID
