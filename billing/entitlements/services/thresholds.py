"""Deciding which thresholds of quotas are crossed: each once in a period, none missed.

The gate tells when use may have come near the next threshold (:mod:`kernel.gate.alarms`); what is
told is looked at here, in the worker, and the gate is armed for the next threshold in the same
transaction. Looking twice, late or out of order changes nothing: docs/adr/0099.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from billing.catalog.models.periods import Period
from billing.catalog.models.values import Allowance
from billing.entitlements.events import UsageThresholdReached
from billing.entitlements.models.effective import Effective, Snapshot
from billing.entitlements.models.thresholds import CROSSING_PREFIX
from billing.entitlements.queries.snapshots import load
from billing.entitlements.queries.values import Metered, WindowMissingError, value_now
from kernel import db
from kernel.events import emit
from kernel.events.registry import Delivery
from kernel.gate import alarms, quota
from kernel.ids import encode, new_id

AGAIN: Final = timedelta(milliseconds=500)
"""When to look again at a window that somebody was writing for long."""
_DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)
_WHOLE: Final = Decimal(100)
_MOST: Final = Decimal(10) ** 25
"""The largest use that a record shows; the event tells it whole."""
_REARM: Final = """
UPDATE billing_threshold SET rearmed_at = clock_timestamp()
 WHERE tenant_id = %s AND feature_key = %s AND period_start = %s AND rearmed_at IS NULL
   AND "limit" < %s AND threshold > %s
"""
_CROSS: Final = """
INSERT INTO billing_threshold
  (id, tenant_id, feature_key, period_start, period_end, threshold, usage, "limit", crossed_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, clock_timestamp())
ON CONFLICT (tenant_id, feature_key, period_start, threshold) WHERE rearmed_at IS NULL DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a metered feature stands in a period, against which its thresholds are held."""

    tenant_id: UUID
    feature: str
    period: Period
    used: Decimal
    limit: Decimal
    thresholds: Sequence[int]

    def crossed(self) -> Iterator[int]:
        """Go through the thresholds that use has reached."""
        return (one for one in self.thresholds if self.used >= self._level(one))

    def room(self) -> Decimal | None:
        """Give what may be used until the next threshold; None beyond the last."""
        above = (self._level(one) - self.used for one in self.thresholds)
        return min((room for room in above if room > 0), default=None)

    def _level(self, threshold: int) -> Decimal:
        return self.limit * threshold / _WHOLE


def on_quota_due(delivery: Delivery) -> None:
    """Look at what the gate tells: one quota window, a day of requests, or all of a tenant's."""
    tenant_id, payload = delivery.tenant_id, delivery.payload
    if tenant_id is None:
        return
    if payload["feature"] is not None:
        start = datetime.fromisoformat(payload["start"])
        with db.atomic():
            _look_at_window(tenant_id, payload["feature"], start)
    elif payload["day"] is not None:
        with db.atomic():
            _look_at_day(load(tenant_id), payload["day"], payload["used"])
    else:
        with db.atomic():
            _look_at_all(tenant_id)


def _look_at_all(tenant_id: UUID) -> None:
    """Hold all open periods of a tenant against limits that may have changed."""
    now = timezone.now()
    snapshot = load(tenant_id)
    requests = _requests(snapshot, now)
    if requests is not None:
        day, used = alarms.arm_requests(tenant_id, requests.thresholds)
        _look_at_day(snapshot, day, used)
    for feature, standing in sorted(quota.standings(tenant_id, now).items()):
        _look_at_window(tenant_id, feature, standing.start)


def _look_at_window(tenant_id: UUID, feature: str, start: datetime) -> None:
    """Hold the period of a quota window against its thresholds and arm it for the next one."""
    now = timezone.now()
    period = _period(tenant_id, feature, now)
    if period is None or not period.start <= start < period.end:
        # Late use of a period that has ended, held against what held then.
        period = _period(tenant_id, feature, start)
    if period is None:
        return
    span = (period.start, period.end)
    if not alarms.lock_use(tenant_id, feature, span):
        alarms.look_again(tenant_id, feature, start, AGAIN)
        return
    at = min(max(now, start), period.end - _TICK)
    standing = _standing(load(tenant_id, at if at < now else None), feature, at)
    if standing is not None:
        _tell(standing)
    alarms.arm_use(tenant_id, feature, span, at, standing.room() if standing else None)


def _period(tenant_id: UUID, feature: str, at: datetime) -> Period | None:
    """Find the period of a quota that contains an instant."""
    found = quota.standings(tenant_id, at, feature=feature).get(feature)
    return None if found is None else Period(found.start, found.end)


def _look_at_day(snapshot: Snapshot, day: int, used: int) -> None:
    """Hold a day's requests against the thresholds of the daily limit. The gate armed itself."""
    start = _EPOCH + day * _DAY
    at = min(timezone.now(), start + _DAY - _TICK)
    effective = _requests(snapshot, at)
    if effective is None or not isinstance(effective.value, Allowance):
        return
    limit = effective.value.limit
    if limit:
        period = Period(start, start + _DAY)
        key, percents = effective.feature.key, effective.thresholds
        _tell(Standing(snapshot.tenant_id, key, period, Decimal(used), limit, percents))


def _requests(snapshot: Snapshot, at: datetime) -> Effective | None:
    """Find the feature that the gate's own request counter counts."""
    return next((one for one in snapshot.all(at) if one.feature.counted_by_gate), None)


def _standing(snapshot: Snapshot, feature: str, at: datetime) -> Standing | None:
    """Read how a feature stands; None where no limit is there to be crossed."""
    try:
        value = value_now(snapshot, feature, at)
    except WindowMissingError:
        return None
    metered: Metered | None = value.metered if value else None
    if value is None or metered is None or not metered.limit:
        return None
    percents = value.effective.thresholds
    return Standing(
        snapshot.tenant_id, feature, metered.period, metered.used, metered.limit, percents
    )


def _tell(standing: Standing) -> None:
    """Record and emit what is crossed and was not before; re-arm what a raised limit freed."""
    crossed = list(standing.crossed())
    highest = max(crossed, default=0)
    with db.cursor() as cursor:
        cursor.execute(
            _REARM,
            [
                standing.tenant_id,
                standing.feature,
                standing.period.start,
                standing.limit,
                highest,
            ],
        )
        for threshold in crossed:
            crossing = new_id()
            cursor.execute(_CROSS, [crossing, *_facts(standing, threshold)])
            if cursor.rowcount:
                emit(_event(standing, threshold, crossing))


def _facts(standing: Standing, threshold: int) -> list[Any]:
    period = standing.period
    return [
        standing.tenant_id, standing.feature, period.start, period.end,
        threshold, min(standing.used, _MOST), standing.limit,
    ]  # fmt: skip


def _event(standing: Standing, threshold: int, crossing: UUID) -> UsageThresholdReached:
    return UsageThresholdReached(
        tenant_id=standing.tenant_id,
        crossing=encode(CROSSING_PREFIX, crossing),
        feature=standing.feature,
        threshold=threshold,
        usage=f"{standing.used:f}",
        limit=f"{standing.limit:f}",
        period_start=standing.period.start.isoformat(),
        period_end=standing.period.end.isoformat(),
    )
