"""What a tenant has used of the operator's meters, counted from the meter itself."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

from billing.usage.filters import advanced
from billing.usage.models import OPERATOR, Aggregation, Meter
from billing.usage.queries.measure import measure, rows_of, written
from billing.usage.queries.question import Question
from kernel import db
from kernel.tenancy.direct import Direct

_ADDITIVE: Final = {Aggregation.SUM, Aggregation.COUNT}
_NOTHING: Final = Decimal(0)
_NAMED: Final = re.compile(r"%\((\w+)\)s")
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


def used_in(
    tenant_id: UUID, meter: Meter, spans: Sequence[tuple[datetime, datetime]]
) -> list[Decimal]:
    """Sum up a tenant's use in each of several spans, as :func:`used_between` does.

    Mostly nothing was used in any of them, which one question tells.
    """
    whole = min(start for start, _ in spans), max(end for _, end in spans)
    if len(spans) > 1 and meter.aggregation in _ADDITIVE:
        total = _measured(tenant_id, meter, *whole)
        if total is None:
            return [_NOTHING] * len(spans)
        if all(one[1] == after[0] for one, after in pairwise(spans)):
            before = [_measured(tenant_id, meter, *span) or _NOTHING for span in spans[:-1]]
            return [*before, total - sum(before, _NOTHING)]
    return [_measured(tenant_id, meter, *span) or _NOTHING for span in spans]


def _measured(tenant_id: UUID, meter: Meter, start: datetime, end: datetime) -> Decimal | None:
    """Measure a tenant's use by a prepared statement; None where there was no event."""
    if start >= end:
        return None
    question = Question(meter=meter, start=start, end=end, tenants=[tenant_id])
    statement, named = written(question)
    places: dict[str, int] = {}
    text = _NAMED.sub(lambda found: _place(places, found[1]), statement)
    rows = rows_of(question, db.rows(text, [named[name] for name in places]))
    return rows[0].value if rows else None


def _place(places: dict[str, int], name: str) -> str:
    """Number a named value by its first use."""
    return f"${places.setdefault(name, len(places) + 1)}"
