"""What the log tells the rest of the system, through the outbox."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from kernel.events import DomainEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPaused(DomainEvent):
    """A stream stopped by itself: its receiver failed for too long, or said that it is gone."""

    name: ClassVar[str] = "audit_stream.paused"

    stream: str
    reason: str
    last_error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorFailing(DomainEvent):
    """An anchor of the instance has failed for some time; sealing goes on."""

    name: ClassVar[str] = "audit_anchor.failing"

    anchor: str
    last_error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDamaged(DomainEvent):
    """The nightly verification found faults in a log: verdicts, and the first bad place."""

    name: ClassVar[str] = "audit.log_damaged"

    log: str
    verdicts: tuple[str, ...]
    first_bad: int | None
    tenant_id: UUID
