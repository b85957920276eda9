"""What the gate must know of a snapshot: limits, features, quota windows, now and later."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from billing.catalog.models import Interval
from billing.catalog.models.periods import Period, period_at
from billing.catalog.models.values import Allowance
from billing.entitlements.models.effective import Effective, Snapshot
from billing.entitlements.models.streams import AHEAD
from kernel.gate.changes import Change
from kernel.gate.projection import Burst

_NOTHING: Final = Decimal(0)
_UTC: Final = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Grants:
    """What the gate enforces at one instant. None is unlimited; ``hard_limits`` by feature key.

    ``issued`` is what a usage period itself grants, by feature key (None: without bound, or
    nothing at all if there is a hard limit).
    """

    daily: int | None
    burst: Burst | None
    features: tuple[str, ...]
    hard_limits: Mapping[str, Decimal | None]
    issued: Mapping[str, Decimal | None]

    def change(self, at: datetime) -> Change:
        """Give these grants as the gate's pending change."""
        return Change(at, self.daily, self.burst, self.features, self.hard_limits, self.issued)


def grants_of(snapshot: Snapshot, effective: Sequence[Effective]) -> Grants:
    """Say what the gate enforces of all that holds. Without a plan nothing is allowed."""
    daily: Decimal | None = _NOTHING
    for one in effective:
        if one.feature.counted_by_gate:
            daily = hard_limit(one)
    return Grants(
        daily=None if daily is None else int(daily),
        burst=snapshot.plan.burst if snapshot.plan else None,
        features=tuple(one.feature.key for one in effective if one.granted),
        hard_limits={
            one.feature.key: hard_limit(one) for one in effective if one.feature.has_quota
        },
        issued={one.feature.key: issued(one) for one in effective if one.feature.has_quota},
    )


def changes_after(snapshot: Snapshot, at: datetime) -> Iterator[Change]:
    """Go through all later states of the grants, each at its instant."""
    boundary = snapshot.boundary(at)
    while boundary is not None:
        yield grants_of(snapshot, snapshot.all(boundary)).change(boundary)
        boundary = snapshot.boundary(boundary)


def hard_limit(effective: Effective) -> Decimal | None:
    """Give the amount beyond which use is refused: none if soft or unlimited, 0 if not granted."""
    match effective.value:
        case Allowance(soft=True):
            return None
        case Allowance(limit=limit):
            return limit
        case _:
            return _NOTHING


def issued(effective: Effective) -> Decimal | None:
    """Give what a usage period grants by itself, hard or soft; None if unlimited or nothing."""
    return effective.value.limit if isinstance(effective.value, Allowance) else None


def interval_of(effective: Effective) -> Interval:
    """Give the period in which the feature is counted; a month where it is not granted."""
    return effective.value.period if isinstance(effective.value, Allowance) else Interval.MONTH


def periods_ahead(snapshot: Snapshot, effective: Effective, at: datetime) -> Sequence[Period]:
    """Give the running period of a metered feature and the ones opened in advance.

    Periods are civil ones of the tenant's zone, but for limits of the plan, which are UTC days.
    """
    return _ahead(interval_of(effective), at, _zone(snapshot, effective))


@lru_cache(maxsize=64)
def _ahead(interval: Interval, at: datetime, zone: ZoneInfo) -> tuple[Period, ...]:
    """Cut the periods once for all features that share them."""
    periods = [period_at(interval, at, zone)]
    while len(periods) < AHEAD[interval]:
        periods.append(period_at(interval, periods[-1].end, zone))
    return tuple(periods)


def period_of(snapshot: Snapshot, effective: Effective, at: datetime) -> Period:
    """Give the period of a metered feature that contains the instant, as in the ones ahead."""
    return period_at(interval_of(effective), at, _zone(snapshot, effective))


def _zone(snapshot: Snapshot, effective: Effective) -> ZoneInfo:
    return _UTC if effective.feature.plan_limit else snapshot.zone
