"""What a tenant has used of the operator's meters, counted from the meter itself."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from billing.usage.filters import advanced
from billing.usage.models import OPERATOR, Meter
from billing.usage.queries.measure import measure
from billing.usage.queries.question import Question
from kernel.tenancy.direct import Direct

_OPERATORS: Final = Direct(Meter, "scope")


def operators_meter(slug: str) -> Meter | None:
    """Find the operator's meter of a slug; None where there is none."""
    return operators_meters([slug]).get(slug)


def operators_meters(slugs: Sequence[str]) -> dict[str, Meter]:
    """Find meters of the operator, which every tenant sees, by slug."""
    found = _OPERATORS.read_of(OPERATOR, "slug = ANY ($1::text[]) AND deleted_at IS NULL", [slugs])
    return {meter.slug: meter for meter in found}


def used_between(
    tenant_id: UUID,
    meter: Meter | None,
    start: datetime,
    end: datetime,
    group_filters: Mapping[str, Any] | None = None,
) -> Decimal:
    """Sum up a tenant's use of the operator's meter in [start, end); 0 without the meter.

    ``group_filters`` hold operators by group-by key: only these groups count.
    """
    if meter is None or start >= end:
        return Decimal(0)
    counted = advanced(dict(group_filters or {}))
    question = Question(meter=meter, start=start, end=end, tenants=[tenant_id], filters=counted)
    rows = measure(question)
    return rows[0].value if rows else Decimal(0)
