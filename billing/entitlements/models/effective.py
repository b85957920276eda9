"""What a tenant effectively has, as pure data: the plan's value, overrides on top, at an instant.

Precedence: an override in force, else an entitlement of the tenant's own, else the plan version's
value, else nothing. Nothing here reads a database: a snapshot is loaded once for
each entitlement version of a tenant, and answers for any instant.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from billing.catalog.models.recurrence import Cadence
from billing.catalog.models.values import UNLIMITED, Allowance, Kind, Unlimited, Value
from billing.catalog.queries import FeatureFact, PlanContent
from billing.entitlements.models.overrides import Mode


class Source(StrEnum):
    """Which step decided a value."""

    OVERRIDE = "override"
    ENTITLEMENT = "entitlement"
    PLAN = "plan"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class OverrideFact:
    """One override that is neither paused nor revoked, valid during [starts_at, expires_at)."""

    id: UUID
    mode: Mode
    value: Value
    starts_at: datetime
    expires_at: datetime | None = None

    def in_force(self, at: datetime) -> bool:
        """Tell whether the override counts at the instant."""
        return self.starts_at <= at and (self.expires_at is None or at < self.expires_at)


@dataclass(frozen=True, slots=True)
class OwnFact:
    """An entitlement of the tenant's own. The rest is said of metered ones only.

    ``cadence`` and ``anchor`` make its usage periods; use counts from ``measure_from``. ``issues``
    is false where a period grants nothing by itself.
    """

    id: UUID
    value: Value
    active_from: datetime
    cadence: Cadence | None = None
    anchor: datetime | None = None
    measure_from: datetime | None = None
    priority: int = 1
    issues: bool = True
    preserve_overage: bool = False


@dataclass(frozen=True, slots=True)
class Effective:
    """The value of one feature at one instant; None where the tenant has none.

    ``expires_at`` is when the deciding override ends.
    """

    feature: FeatureFact
    value: Value | None
    source: Source
    override_id: UUID | None = None
    expires_at: datetime | None = None

    @property
    def granted(self) -> bool:
        """Tell whether the tenant has the feature: a boolean that is not false, or any value."""
        return self.value is not None and self.value is not False

    @property
    def thresholds(self) -> tuple[int, ...]:
        """Give the percentages of the limit whose crossing is told."""
        if isinstance(self.value, Allowance) and self.value.thresholds is not None:
            return self.value.thresholds
        return self.feature.thresholds


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that decides a tenant's entitlements, at one version, and its key (slug).

    ``planned`` holds the plan version's values by feature key, limits of the plan
    among them; ``overrides`` holds the tenant's own, and ``own`` its entitlements.
    """

    tenant_id: UUID
    slug: str
    zone: ZoneInfo
    plan: PlanContent | None
    features: Mapping[str, FeatureFact]
    planned: Mapping[str, Value]
    overrides: Mapping[str, tuple[OverrideFact, ...]] = field(default_factory=dict)
    own: Mapping[str, OwnFact] = field(default_factory=dict)

    def effective(self, key: str, at: datetime) -> Effective | None:
        """Evaluate one feature; None where no such feature exists."""
        feature = self.features.get(key)
        if feature is None:
            return None
        return self._resolve(feature, at)

    def all(self, at: datetime) -> list[Effective]:
        """Evaluate every feature, by key."""
        return [self._resolve(feature, at) for _, feature in sorted(self.features.items())]

    def boundary(self, at: datetime) -> datetime | None:
        """Give the next instant after ``at`` at which an override starts or ends."""
        return next_boundary((fact for facts in self.overrides.values() for fact in facts), at)

    def _resolve(self, feature: FeatureFact, at: datetime) -> Effective:
        planned, overrides = self.planned.get(feature.key), self.overrides.get(feature.key, ())
        return resolve(feature, planned, overrides, at, self.own.get(feature.key))


def resolve(
    feature: FeatureFact,
    planned: Value | None,
    overrides: Iterable[OverrideFact],
    at: datetime,
    own: OwnFact | None = None,
) -> Effective:
    """Decide the value of one feature at one instant.

    An entitlement of the tenant's own stands in the place of the plan's value.
    An allowance keeps the plan's period whatever an override says: the two count in the same
    windows, so that a change of the limit never changes what was used.
    """
    if own is not None:
        planned = own.value
    for override in overrides:
        if override.in_force(at):
            value = add(planned, override.value) if override.mode is Mode.ADD else override.value
            if isinstance(planned, Allowance) and isinstance(value, Allowance):
                told = planned.thresholds if value.thresholds is None else value.thresholds
                value = replace(value, period=planned.period, thresholds=told)
            return Effective(feature, value, Source.OVERRIDE, override.id, override.expires_at)
    if planned is None:
        return Effective(feature, None, Source.NONE)
    return Effective(feature, planned, Source.PLAN if own is None else Source.ENTITLEMENT)


def add(planned: Value | None, extra: Value) -> Value:
    """Add an override's value to the plan's: sums of numbers and allowances, unlimited absorbs.

    An added allowance keeps the plan's period and hardness. Without a planned value the extra one
    stands alone.

    Raises:
        ValueError: values of a kind that cannot be added.
    """
    match planned, extra:
        case None, _:
            return extra
        case Unlimited(), Unlimited() | int():
            return UNLIMITED
        case int(), Unlimited():
            return UNLIMITED
        case int(), int() if not isinstance(planned, bool) and not isinstance(extra, bool):
            return planned + extra
        case Allowance(period=period, soft=soft), Allowance():
            limit = _sum(planned.limit, extra.limit)
            return Allowance(limit, period, soft, extra.thresholds)
        case _:
            raise ValueError(f"{extra!r} cannot be added to {planned!r}")


def addable(kind: Kind) -> bool:
    """Tell whether overrides of the kind may use mode ``add``."""
    return kind in {Kind.NUMBER, Kind.METERED}


def next_boundary(overrides: Iterable[OverrideFact], at: datetime) -> datetime | None:
    """Give the first start or expiry after ``at``."""
    instants = (
        instant
        for override in overrides
        for instant in (override.starts_at, override.expires_at)
        if instant is not None and instant > at
    )
    return min(instants, default=None)


def _sum(first: Decimal | None, second: Decimal | None) -> Decimal | None:
    return None if first is None or second is None else first + second
