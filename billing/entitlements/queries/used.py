"""What a tenant has used of the operator's meters, counted from the meter itself."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from billing.usage.models import OPERATOR, Meter
from billing.usage.queries.measure import measure
from billing.usage.queries.question import Question


def used_between(tenant_id: UUID, slug: str, start: datetime, end: datetime) -> Decimal:
    """Sum up a tenant's use of the operator's meter in [start, end); 0 without the meter."""
    meter = Meter.visible().filter(scope=OPERATOR, slug=slug).first()
    if meter is None or start >= end:
        return Decimal(0)
    rows = measure(Question(meter=meter, start=start, end=end, tenants=[tenant_id]))
    return rows[0].value if rows else Decimal(0)
