"""The usage of the running month, meter by meter, from digests and roll-ups."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from billing.usage.models import Aggregation, Meter, Origin
from billing.usage.models.meters import OF_SINGLE_EVENTS
from billing.usage.queries import meters as finding
from billing.usage.queries.measure import measure
from billing.usage.queries.question import Question
from kernel import db
from kernel.tenancy import current_tenant

# Months begin on bucket edges in every zone, so roll-ups alone are exact.
_PERIOD: Final = """
SELECT timezone, start, billing_usage_window_end('month', start, timezone)
FROM tenants_tenant, LATERAL billing_usage_window('month', now(), timezone) AS start
WHERE id = $1::uuid
"""
_KEPT: Final = """
WITH whole AS MATERIALIZED (
  SELECT id, billing_usage_digested_days(
    id, $1::uuid, $3::timestamptz, $4::timestamptz, true, false, '{}') AS days
  FROM unnest($2::uuid[]) AS id
)
SELECT meter_id, sum(count), sum(total), min(lowest), max(highest),
       (array_agg(latest ORDER BY latest_at DESC, latest_seq DESC))[1]
FROM (
  SELECT r.meter_id, r.count, r.total, r.lowest, r.highest, r.latest, r.latest_at, r.latest_seq
  FROM whole JOIN billing_usage_digest AS r ON r.tenant_id = $1::uuid AND r.meter_id = whole.id
   AND r.day = ANY (whole.days) AND r.day >= ($3::timestamptz AT TIME ZONE 'UTC')::date
   AND r.day <= ($4::timestamptz AT TIME ZONE 'UTC')::date
  UNION ALL
  SELECT r.meter_id, r.count, r.total, r.lowest, r.highest, r.latest, r.latest_at, r.latest_seq
  FROM whole
  CROSS JOIN LATERAL billing_usage_gaps(whole.days, $3::timestamptz, $4::timestamptz) AS gap
  JOIN billing_usage_rollup AS r ON r.tenant_id = $1::uuid AND r.meter_id = whole.id
   AND r.bucket >= gap.low AND r.bucket < gap.high
) AS part
GROUP BY meter_id
"""


@dataclass(frozen=True, slots=True)
class Period:
    """A civil month of the tenant's zone, as instants [start, end)."""

    start: datetime
    end: datetime
    zone: str


@dataclass(frozen=True, slots=True)
class Used:
    """A meter's figure in the period; None where it has none (nothing to average, no latest)."""

    meter: Meter
    value: Decimal | None


def current() -> tuple[Period, list[Used]]:
    """Give the running month of the tenant of the context, and the figure of each of its meters."""
    tenant_id = current_tenant()
    period = running_month(tenant_id)
    meters = finding.live()
    kept = [meter for meter in meters if _is_kept(meter)]
    figures = _figures(tenant_id, [meter.id for meter in kept], period)
    used = []
    for meter in meters:
        if _is_kept(meter):
            value = _value(meter, figures.get(meter.id))
        else:
            rows = measure(Question(meter=meter, start=period.start, end=period.end))
            value = rows[0].value if rows else None
        used.append(Used(meter, value))
    return period, used


def _is_kept(meter: Meter) -> bool:
    """Tell whether plain roll-ups hold the figure: no set, no percentile, not the gate's record."""
    summed = meter.aggregation not in {Aggregation.UNIQUE_COUNT, *OF_SINGLE_EVENTS}
    counted = summed and meter.origin == Origin.EVENTS
    return counted and meter.ready


def running_month(tenant_id: UUID) -> Period:
    """Give the running month of a tenant's time zone."""
    ((zone, start, end),) = db.rows(_PERIOD, [tenant_id])
    return Period(start, end, zone)


def _figures(tenant_id: UUID, meters: list[UUID], period: Period) -> dict[UUID, tuple[Any, ...]]:
    rows = db.rows(_KEPT, [tenant_id, meters, period.start, period.end])
    return {row[0]: row[1:] for row in rows}


def _value(meter: Meter, figures: tuple[Any, ...] | None) -> Decimal | None:
    if figures is None:
        return Decimal(0) if meter.aggregation in {Aggregation.COUNT, Aggregation.SUM} else None
    count, total, lowest, highest, latest = figures
    by_aggregation: dict[str, Decimal | None] = {
        Aggregation.COUNT: count,
        Aggregation.SUM: total,
        Aggregation.AVG: None if total is None else total / count,
        Aggregation.MIN: lowest,
        Aggregation.MAX: highest,
        Aggregation.LATEST: latest,
    }
    return by_aggregation[meter.aggregation]
