"""The value of an entitlement: what a tenant may use now, what it used, what is left.

Metered values come from the row that ingest, consume and verify write (kernel/sql/quota.sql), or
from the gate's own request counter: never from a second ledger. Values at another time than now
are counted from the meter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from billing.catalog.models.periods import Period
from billing.catalog.models.values import Allowance, Kind
from billing.catalog.queries import FeatureFact
from billing.entitlements.models import plan_stream
from billing.entitlements.models.effective import Effective, Snapshot
from billing.entitlements.models.projection import period_of
from billing.entitlements.queries.burndown import State, state_at
from billing.entitlements.queries.used import operators_meter, used_between
from billing.usage.queries.rates import (
    per_hour,
    requests_in_the_last_hour,
    used_in_the_last_hour,
)
from kernel import tenancy
from kernel.gate import quota
from kernel.gate.quota import Standing
from kernel.gate.wire import HotConnection

ZERO: Final = Decimal(0)
_HOUR_S: Final = 3600


class WindowMissingError(LookupError):
    """A quota has no open window: entitlements must be projected again, then read again."""


@dataclass(frozen=True, slots=True)
class Metered:
    """How a metered entitlement stands in its period. ``limit`` None is unlimited.

    Where it burns grants, ``limit`` is all that they grant, the used part of ended ones included,
    ``burnt`` is how the gate has them stand, and ``grants`` are their balances. ``rate`` is what is
    used in an hour at present, by the last hour's roll-ups; None is not known.
    """

    limit: Decimal | None
    soft: bool
    used: Decimal
    reserved: Decimal
    period: Period
    burnt: Standing | None = None
    grants: Mapping[UUID, Decimal] = field(default_factory=dict)
    rate: Decimal | None = None

    @property
    def balance(self) -> Decimal | None:
        """Give what is left of the allowance, never below 0; None if unlimited."""
        if self.burnt is not None and self.burnt.balance is not None:
            return self.burnt.balance
        return None if self.limit is None else max(self.limit - self.used, ZERO)

    @property
    def remaining(self) -> Decimal | None:
        """Give what is left and not held by reservations; None if unlimited."""
        if self.limit is None:
            return None
        if self.burnt is not None and self.burnt.hard_limit is not None:
            return self.burnt.remaining
        return max((self.balance or ZERO) - self.reserved, ZERO)

    @property
    def overage(self) -> Decimal:
        """Give the use beyond the allowance."""
        if self.burnt is not None and self.burnt.overage is not None:
            return self.burnt.overage
        return ZERO if self.limit is None else max(self.used - self.limit, ZERO)

    @property
    def has_access(self) -> bool:
        """Tell whether more may be used: without a hard limit always."""
        remaining = self.remaining
        return self.soft or remaining is None or remaining > ZERO

    def exhausted_at(self, now: datetime) -> datetime | None:
        """Say when the balance is used up if use goes on at the present rate.

        None if that is after the period ends, if there is no limit, or if nothing was used of
        late; an instant that has passed is never told: what is used up is used up now.
        """
        return exhausted_at(self.balance, self.rate, self.period.end, now)


def exhausted_at(
    balance: Decimal | None, rate: Decimal | None, end: datetime, now: datetime
) -> datetime | None:
    """Say when a balance is used up at ``rate`` an hour; None if not before ``end``, or never."""
    if balance is None or rate is None or rate <= ZERO:
        return None
    seconds = balance / rate * _HOUR_S
    if seconds >= Decimal((end - now) / timedelta(seconds=1)):
        return None
    return now + timedelta(seconds=float(seconds))


@dataclass(frozen=True, slots=True)
class Use:
    """What a tenant uses: its quotas by feature, requests of the day, recent use by meter.

    ``filtered`` holds, by feature, what was used of those that count only some groups of a meter.
    """

    standings: Mapping[str, Standing]
    requests: int
    recent: Mapping[str, Decimal]
    filtered: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EntitlementValue:
    """One entitlement: the effective value, and its standing if it is metered, of which tenant."""

    effective: Effective
    metered: Metered | None = None
    tenant_id: UUID | None = None

    @property
    def has_access(self) -> bool:
        """Tell whether the tenant may use the feature now."""
        if self.metered is not None:
            return self.metered.has_access
        return self.effective.granted

    @property
    def grants(self) -> Mapping[UUID, Decimal]:
        """Give the balances by grant; a plain allowance is a grant that each period issues."""
        metered = self.metered
        if metered is None or metered.burnt is not None:
            return {} if metered is None else metered.grants
        if self.tenant_id is None or metered.balance is None:
            return {}
        return {plan_stream(self.tenant_id, self.effective.feature.id): metered.balance}


def value_now(
    snapshot: Snapshot, key: str, at: datetime, connection: HotConnection | None = None
) -> EntitlementValue | None:
    """Give the value of one feature; None where there is no such feature.

    Raises:
        WindowMissingError: the quota of a metered feature has no open window.
    """
    effective = snapshot.effective(key, at)
    if effective is None:
        return None
    use = _use(snapshot, [effective], at, connection, feature=key)
    value = evaluated(snapshot, effective, at, use)
    if value is None:
        raise WindowMissingError(key)
    return value


def values_now(
    snapshot: Snapshot, at: datetime, connection: HotConnection | None = None
) -> dict[str, EntitlementValue]:
    """Give the values of all features that the tenant is granted, by key.

    Raises:
        WindowMissingError: the quota of a metered feature has no open window.
    """
    granted = [one for one in snapshot.all(at) if one.granted]
    use = _use(snapshot, granted, at, connection)
    values: dict[str, EntitlementValue] = {}
    for effective in granted:
        value = evaluated(snapshot, effective, at, use)
        if value is None:
            raise WindowMissingError(effective.feature.key)
        values[effective.feature.key] = value
    return values


def value_at(snapshot: Snapshot, key: str, at: datetime) -> EntitlementValue | None:
    """Give the value that a feature had at an instant of the past; None if there is no feature."""
    effective = snapshot.effective(key, at)
    if effective is None:
        return None
    if not isinstance(effective.value, Allowance):
        return EntitlementValue(effective)
    value = effective.value
    past = (
        state_at(snapshot.tenant_id, effective.feature, at) if effective.feature.has_quota else None
    )
    if past is not None and value.limit is not None:
        return EntitlementValue(effective, _past(past, value, key))
    period = period_of(snapshot, effective, at)
    feature = effective.feature
    used = used_between(
        snapshot.tenant_id,
        operators_meter(feature.meter),
        period.start,
        at,
        feature.group_filters,
    )
    metered = Metered(value.limit, value.soft, used, ZERO, period)
    return _planned(snapshot, effective, metered)


def _past(past: State, value: Allowance, key: str) -> Metered:
    balance = sum(past.balances.values(), ZERO)
    available = max(past.used - past.overage, ZERO) + balance
    standing = Standing(key, *past.period, past.used, ZERO, None, available, balance, past.overage)
    return Metered(
        available, value.soft, past.used, ZERO, Period(*past.period), standing, past.balances
    )


def evaluated(
    snapshot: Snapshot, effective: Effective, at: datetime, use: Use
) -> EntitlementValue | None:
    """Give the value of one feature by what is used; None where its quota has no open window."""
    value, feature = effective.value, effective.feature
    if feature.kind is not Kind.METERED or not isinstance(value, Allowance):
        return EntitlementValue(effective)
    if feature.counted_by_gate:
        period = period_of(snapshot, effective, at)
        rate = _rate(feature, at, use)
        requests = Decimal(use.requests)
        metered = Metered(value.limit, value.soft, requests, ZERO, period, rate=rate)
        return _planned(snapshot, effective, metered)
    if feature.group_filters:
        period = period_of(snapshot, effective, at)
        used = use.filtered[feature.key]
        return _planned(snapshot, effective, Metered(value.limit, value.soft, used, ZERO, period))
    standing = use.standings.get(feature.key)
    if standing is None:
        return None
    period = Period(standing.start, standing.end)
    rate = _rate(feature, at, use)
    used, reserved = standing.used, standing.reserved
    if standing.grants is None:
        metered = Metered(value.limit, value.soft, used, reserved, period, rate=rate)
        return _planned(snapshot, effective, metered)
    grants = {UUID(id_): balance for id_, balance in standing.grants.items()}
    burnt = Metered(standing.available, value.soft, used, reserved, period, standing, grants, rate)
    return EntitlementValue(effective, burnt)


def _rate(feature: FeatureFact, at: datetime, use: Use) -> Decimal:
    recent = use.recent.get(feature.meter)
    return ZERO if recent is None else per_hour(recent, at)


def _planned(snapshot: Snapshot, effective: Effective, metered: Metered) -> EntitlementValue:
    return EntitlementValue(effective, metered, snapshot.tenant_id)


def _use(
    snapshot: Snapshot,
    wanted: Sequence[Effective],
    at: datetime,
    connection: HotConnection | None,
    feature: str | None = None,
) -> Use:
    """Read what evaluation of some features needs, and nothing for those that are not metered."""
    tenant_id = snapshot.tenant_id
    metered = [one for one in wanted if isinstance(one.value, Allowance)]
    bounded = [one for one in metered if _bounded(one)]
    recent: dict[tuple[UUID, str], Decimal] = {}
    standings: dict[str, Standing] = {}
    requests = 0
    if any(one.feature.has_quota for one in metered):
        standings = quota.standings(tenant_id, at, feature=feature, connection=connection)
        if meters := sorted({one.feature.meter for one in bounded if one.feature.has_quota}):
            recent |= used_in_the_last_hour([tenant_id], meters, at, connection)
    if any(one.feature.counted_by_gate for one in metered):
        requests = quota.requests_today(tenant_id, connection=connection)
    if any(one.feature.counted_by_gate for one in bounded):
        recent |= requests_in_the_last_hour([tenant_id], at, connection)
    lately = {meter: used for (_, meter), used in recent.items()}
    return Use(standings, requests, lately, filtered_use(snapshot, metered, at))


def filtered_use(
    snapshot: Snapshot, wanted: Sequence[Effective], at: datetime
) -> dict[str, Decimal]:
    """Count what was used, in its period, of features that count only some groups of a meter."""
    found = {}
    for one in wanted:
        if one.feature.group_filters and isinstance(one.value, Allowance):
            period = period_of(snapshot, one, at)
            with tenancy.tenant_context(snapshot.tenant_id):
                found[one.feature.key] = used_between(
                    snapshot.tenant_id,
                    operators_meter(one.feature.meter),
                    period.start,
                    period.end,
                    one.feature.group_filters,
                )
    return found


def _bounded(effective: Effective) -> bool:
    """Tell whether there is a limit that use comes nearer to."""
    return isinstance(effective.value, Allowance) and effective.value.limit is not None
