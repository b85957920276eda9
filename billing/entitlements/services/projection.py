"""Telling the gate what a tenant is entitled to, in the transaction of the change."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.utils import timezone

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
from kernel.gate import quota
from kernel.gate.quota import Window

_SKEW: Final = timedelta(minutes=5)
"""How far ahead of the clock an event's time may lie and count."""


def project(tenant_id: UUID, *, unused: bool = False) -> None:
    """Write limits, features, quota windows and planned changes; raises the entitlement version.

    Call it in the transaction of whatever changed the tenant's entitlements, and to open quota
    windows further ahead. A quota that opens over time already used starts at what the meter says;
    ``unused`` says of a new tenant that there is no such time.
    """
    now = timezone.now()
    with db.atomic():
        snapshot = load(tenant_id)
        grants = grants_at(snapshot, now)
        windows = list(_windows(snapshot, now))
        if not unused:
            windows = _started(tenant_id, windows, now)
        quota.put_grants(
            tenant_id,
            daily=grants.daily,
            burst=grants.burst,
            features=grants.features,
            windows=windows,
            changes=changes_after(snapshot, now),
        )


def on_subscription_changed(event: SubscriptionChanged) -> None:
    """Tell the gate what another plan grants, in the transaction that assigned it."""
    if event.tenant_id is not None:
        project(event.tenant_id, unused=event.previous is None)


def _windows(snapshot: Snapshot, now: datetime) -> Iterator[Window]:
    for effective in snapshot.all(now):
        if effective.feature.has_quota:
            feature, limit = effective.feature, hard_limit(effective)
            for period in periods_ahead(snapshot, effective, now):
                yield Window(feature.key, feature.meter, period.start, period.end, limit)


def _started(tenant_id: UUID, windows: list[Window], now: datetime) -> list[Window]:
    """Let windows that open over time already used start at what was used.

    Locks in the order of kernel/sql/quota.sql: grants before the locks of ingest.
    """
    known = quota.lock_grants(tenant_id)
    return [
        window
        if window.start > now + _SKEW or (window.feature, window.start, window.end) in known
        else replace(window, used=_used_already(tenant_id, window))
        for window in windows
    ]


def _used_already(tenant_id: UUID, window: Window) -> Decimal:
    """Sum up what was used in a window that this transaction is about to open.

    Whoever ingests takes the same locks shared, in the same order: those before have committed when
    the locks are there, those after wait for the window and count in it.
    """
    meter = Meter.visible().filter(scope=OPERATOR, slug=window.meter).first()
    if meter is None:
        return Decimal(0)
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(key) FROM ("
            "  SELECT DISTINCT billing_usage_lock(%s, %s, day) AS key"
            "  FROM generate_series(date_trunc('day', %s::timestamptz, 'UTC'), %s, '1 day') AS day"
            "  ORDER BY key) AS keys",
            [tenant_id, meter.event_type, window.start, timezone.now() + 2 * _SKEW],
        )
    return used_between(tenant_id, window.meter, window.start, window.end)
