"""The base of domain events."""

import dataclasses
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from kernel.ids import new_id


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainEvent:
    """Something that happened. Subclasses set ``name`` (``noun.verb``) and add plain fields.

    ``tenant_id`` is None for the operator's own affairs. ``id`` identifies the event for
    deduplication wherever it is handled; ``occurred_at`` is UTC.
    """

    name: ClassVar[str]

    tenant_id: UUID | None = None
    id: UUID = field(default_factory=new_id)
    occurred_at: datetime = field(default_factory=_now)

    def ordering_key(self) -> str | None:
        """Give the key within which events are handed over in the order of emission; None: any.

        A failing event holds up those behind it until it is delivered or given up. Across
        transactions the order holds where these exclude each other, by a lock on what changed.
        """
        return None

    def payload(self) -> dict[str, Any]:
        """Give the fields beyond the envelope, as stored and handed to subscribers."""
        envelope = {"tenant_id", "id", "occurred_at"}
        return {
            entry.name: getattr(self, entry.name)
            for entry in dataclasses.fields(self)
            if entry.name not in envelope
        }
