"""What is asked of a meter, and what an answer is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from billing.usage.filters import Condition
from billing.usage.models import Meter

CUSTOMER: Final = "customer_id"
SUBJECT: Final = "subject"


class WindowSize(StrEnum):
    """The civil windows of a query."""

    MINUTE = "MINUTE"
    HOUR = "HOUR"
    DAY = "DAY"
    MONTH = "MONTH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A checked query. ``[start, end)`` may be open; ``group_by`` may name subject, customer_id.

    ``tenants`` empty: the tenant of the context, or all of them under the operator.
    """

    meter: Meter
    start: datetime | None = None
    end: datetime | None = None
    window: WindowSize | None = None
    zone: str = "UTC"
    subjects: Sequence[str] = ()
    tenants: Sequence[UUID] = ()
    group_by: Sequence[str] = ()
    filters: Mapping[str, Condition] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One window and group. ``value`` is exact; ``groups`` holds what was asked for."""

    start: datetime
    end: datetime
    value: Decimal
    subject: str | None
    tenant_id: UUID | None
    groups: dict[str, str]
