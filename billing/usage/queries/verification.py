"""Whether roll-ups agree with the ledger they summarise, and digests with roll-ups."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

import orjson
from django.db.models import QuerySet

from billing.usage.models import OPERATOR, Meter, Origin
from kernel import db

_BEGINNING: Final = "-infinity"
_END: Final = "infinity"
_DIFFERENCES: Final = """
SELECT bucket, subject, groups, kept::text, recounted::text
FROM billing_usage_difference(%(meter)s, %(tenant)s, %(start)s, %(end)s)
UNION ALL
SELECT day::timestamp AT TIME ZONE 'UTC', subject, groups, kept::text, recounted::text
FROM billing_usage_digest_differences(%(meter)s, %(tenant)s,
  (%(start)s::timestamptz AT TIME ZONE 'UTC')::date,
  (%(end)s::timestamptz AT TIME ZONE 'UTC')::date)
"""
_CLOSED: Final = "SELECT tenant_id, month FROM billing_usage_closed"
_TENANTS: Final = """
SELECT DISTINCT tenant_id FROM billing_usage_event WHERE type = %s AND tenant_id IS NOT NULL
UNION SELECT DISTINCT tenant_id FROM billing_usage_rollup WHERE meter_id = %s ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A bucket whose roll-up is not what the ledger says; None where one of them has nothing."""

    meter: str
    tenant_id: UUID
    bucket: datetime
    subject: str
    groups: tuple[str, ...]
    kept: dict[str, Any] | None
    recounted: dict[str, Any] | None


def compared(slug: str | None = None) -> QuerySet[Meter]:
    """Give the meters that have roll-ups to compare, or those of them with one slug."""
    ready = Meter.visible().filter(ready=True, origin=Origin.EVENTS)
    return ready if slug is None else ready.filter(slug=slug)


def differences(
    start: datetime | None = None, end: datetime | None = None, slug: str | None = None
) -> Iterator[Difference]:
    """Compare every ready meter of every tenant with the ledger, over [start, end).

    The bounds must lie on 15-minute edges. Runs across tenants (alias staff), beside ingest. The
    digests of whole days are compared with the quarter hours that they were made of.
    Archived months have no events to compare with: their roll-ups stand as they are.
    """
    for meter in compared(slug):
        for tenant_id in _tenants(meter):
            found = _of(meter, tenant_id, start, end)
            closed = closed_months() if found else set()
            for one in found:
                month = one.bucket.astimezone(UTC).date().replace(day=1)
                if not {(tenant_id, month), (OPERATOR, month)} & closed:
                    yield one


def closed_months() -> set[tuple[UUID, date]]:
    """List the months that were archived: of a tenant, or of everyone (the zero id)."""
    with db.cursor() as cursor:
        cursor.execute(_CLOSED)
        return set(cursor.fetchall())


def _tenants(meter: Meter) -> list[UUID]:
    with db.cursor() as cursor:
        cursor.execute(_TENANTS, [meter.event_type, meter.id])
        return [row[0] for row in cursor.fetchall()]


def _of(
    meter: Meter, tenant_id: UUID, start: datetime | None, end: datetime | None
) -> list[Difference]:
    with db.cursor() as cursor:
        range_ = {"start": start or _BEGINNING, "end": end or _END}
        cursor.execute(_DIFFERENCES, {"meter": meter.id, "tenant": tenant_id, **range_})
        return [
            Difference(
                meter.slug, tenant_id, bucket, subject, tuple(groups), _read(kept), _read(raw)
            )
            for bucket, subject, groups, kept, raw in cursor.fetchall()
        ]


def _read(text: str | None) -> dict[str, Any] | None:
    return None if text is None else orjson.loads(text)
