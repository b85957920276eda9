"""The value of an entitlement: what a tenant may use now, what it used, what is left.

Metered values come from the row that ingest, consume and verify write (kernel/sql/quota.sql), or
from the gate's own request counter: never from a second ledger. Values at another time than now
are counted from the meter.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from billing.catalog.models.periods import Period
from billing.catalog.models.values import Allowance, Kind
from billing.entitlements.models import plan_stream
from billing.entitlements.models.effective import Effective, Snapshot
from billing.entitlements.models.projection import period_of
from billing.entitlements.queries.burndown import State, state_at
from billing.entitlements.queries.used import used_between
from kernel.gate import quota
from kernel.gate.quota import Standing
from kernel.gate.wire import HotConnection

ZERO: Final = Decimal(0)


class WindowMissingError(LookupError):
    """A quota has no open window: entitlements must be projected again, then read again."""


@dataclass(frozen=True, slots=True)
class Metered:
    """How a metered entitlement stands in its period. ``limit`` None is unlimited.

    Where it burns grants, ``limit`` is all that they grant, the used part of ended ones included,
    and ``burnt`` is how the gate has them stand. ``grants`` are the balances by grant.
    """

    limit: Decimal | None
    soft: bool
    used: Decimal
    reserved: Decimal
    period: Period
    burnt: Standing | None = None
    grants: Mapping[UUID, Decimal] = field(default_factory=dict)

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
        """Say when the balance is used up if use goes on as in the period so far.

        None if that is after the period ends, if there is no limit, or if nothing was used; an
        instant that has passed is never told: what is used up is used up now.
        """
        balance, elapsed = self.balance, now - self.period.start
        if balance is None or self.used <= ZERO or elapsed <= timedelta(0):
            return None
        seconds = Decimal(elapsed / timedelta(seconds=1)) * balance / self.used
        if seconds >= Decimal((self.period.end - now) / timedelta(seconds=1)):
            return None
        return now + timedelta(seconds=float(seconds))


@dataclass(frozen=True, slots=True)
class EntitlementValue:
    """One entitlement: the effective value, and its standing if it is metered."""

    effective: Effective
    metered: Metered | None = None

    @property
    def has_access(self) -> bool:
        """Tell whether the tenant may use the feature now."""
        if self.metered is not None:
            return self.metered.has_access
        return self.effective.granted


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
    standings = {}
    if effective.granted and effective.feature.has_quota:
        standings = quota.standings(snapshot.tenant_id, at, feature=key, connection=connection)
    return _value(snapshot, effective, at, standings, connection)


def values_now(
    snapshot: Snapshot, at: datetime, connection: HotConnection | None = None
) -> dict[str, EntitlementValue]:
    """Give the values of all features that the tenant is granted, by key.

    Raises:
        WindowMissingError: the quota of a metered feature has no open window.
    """
    granted: Iterable[Effective] = [one for one in snapshot.all(at) if one.granted]
    standings = quota.standings(snapshot.tenant_id, at, connection=connection)
    return {one.feature.key: _value(snapshot, one, at, standings, connection) for one in granted}


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
    used = used_between(snapshot.tenant_id, effective.feature.meter, period.start, at)
    metered = Metered(value.limit, value.soft, used, ZERO, period)
    return _planned(snapshot, effective, metered)


def _past(past: State, value: Allowance, key: str) -> Metered:
    balance = sum(past.balances.values(), ZERO)
    available = max(past.used - past.overage, ZERO) + balance
    standing = Standing(key, *past.period, past.used, ZERO, None, available, balance, past.overage)
    return Metered(
        available, value.soft, past.used, ZERO, Period(*past.period), standing, past.balances
    )


def _value(
    snapshot: Snapshot,
    effective: Effective,
    at: datetime,
    standings: dict[str, Standing],
    connection: HotConnection | None,
) -> EntitlementValue:
    value = effective.value
    if effective.feature.kind is not Kind.METERED or not isinstance(value, Allowance):
        return EntitlementValue(effective)
    if effective.feature.counted_by_gate:
        used = Decimal(quota.requests_today(snapshot.tenant_id, connection=connection))
        period = period_of(snapshot, effective, at)
        return _planned(snapshot, effective, Metered(value.limit, value.soft, used, ZERO, period))
    standing = standings.get(effective.feature.key)
    if standing is None:
        raise WindowMissingError(effective.feature.key)
    period = Period(standing.start, standing.end)
    used, held = standing.used, standing.reserved
    if standing.grants is None:
        return _planned(snapshot, effective, Metered(value.limit, value.soft, used, held, period))
    grants = {UUID(id_): balance for id_, balance in standing.grants.items()}
    limit = standing.available
    return EntitlementValue(
        effective, Metered(limit, value.soft, used, held, period, standing, grants)
    )


def _planned(snapshot: Snapshot, effective: Effective, metered: Metered) -> EntitlementValue:
    """Show a plain allowance as what it is in terms of grants: one that each period issues."""
    if metered.balance is None:
        return EntitlementValue(effective, metered)
    issued = {plan_stream(snapshot.tenant_id, effective.feature.id): metered.balance}
    return EntitlementValue(effective, replace(metered, grants=issued))
