"""Telling the gate what a tenant is entitled to, in the transaction of the change."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.utils import timezone

from billing.catalog.models.periods import Period
from billing.entitlements.models.effective import Snapshot
from billing.entitlements.models.projection import (
    changes_after,
    grants_at,
    hard_limit,
    periods_ahead,
)
from billing.entitlements.queries.snapshots import load
from billing.entitlements.queries.values import used_between
from billing.subscriptions.events import SubscriptionChanged
from billing.usage.models import OPERATOR, Meter
from kernel import db
from kernel.gate import projection, quota
from kernel.gate.quota import Standing, Window

_SKEW: Final = timedelta(minutes=5)
"""How far ahead of the clock an event's time may lie and count (metering-and-billing.md 3)."""


def project(tenant_id: UUID) -> None:
    """Write limits, features, quota windows and planned changes; raises the entitlement version.

    Call it in the transaction of whatever changed the tenant's entitlements, and to open quota
    windows further ahead. A quota that opens over time already used starts at what the meter says.
    """
    now = timezone.now()
    with db.atomic():
        snapshot = load(tenant_id)
        grants = grants_at(snapshot, now)
        projection.put_limits(
            tenant_id, daily=grants.daily, burst=grants.burst, features=grants.features
        )
        quota.put_windows(tenant_id, _windows(snapshot, now))
        quota.put_changes(tenant_id, changes_after(snapshot, now))


def on_subscription_changed(event: SubscriptionChanged) -> None:
    """Tell the gate what another plan grants, in the transaction that assigned it."""
    project(event.tenant_id)


def _windows(snapshot: Snapshot, now: datetime) -> Iterator[Window]:
    standing = quota.standings(snapshot.tenant_id, now)
    for effective in snapshot.all(now):
        if not effective.feature.has_quota:
            continue
        feature, limit = effective.feature, hard_limit(effective)
        for period in periods_ahead(snapshot, effective, now):
            used = Decimal(0)
            if period.start <= now + _SKEW and not _open(standing.get(feature.key), period):
                used = _used_already(snapshot.tenant_id, feature.meter, period)
            yield Window(feature.key, feature.meter, period.start, period.end, limit, used)


def _open(standing: Standing | None, period: Period) -> bool:
    return standing is not None and (standing.start, standing.end) == (period.start, period.end)


def _used_already(tenant_id: UUID, slug: str, period: Period) -> Decimal:
    """Sum up what was used in a period before its quota opens.

    Ingest of these days waits until the quota is there: it takes the same locks shared, in the
    same order.
    """
    meter = Meter.visible().filter(scope=OPERATOR, slug=slug).first()
    if meter is None:
        return Decimal(0)
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(key) FROM ("
            "  SELECT DISTINCT billing_usage_lock(%s, %s, day) AS key"
            "  FROM generate_series(date_trunc('day', %s::timestamptz, 'UTC'), %s, '1 day') AS day"
            "  ORDER BY key) AS keys",
            [tenant_id, meter.event_type, period.start, timezone.now() + 2 * _SKEW],
        )
    return used_between(tenant_id, slug, period.start, period.end)
