"""The value of an entitlement: what a tenant may use now, what it used, what is left.

Metered values come from the row that ingest, consume and verify write (kernel/sql/quota.sql), or
from the gate's own request counter: never from a second ledger. Values at another time than now
are counted from the meter.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from billing.catalog.models.periods import Period
from billing.catalog.models.values import Allowance, Kind
from billing.entitlements.models.effective import Effective, Snapshot
from billing.entitlements.models.projection import period_of
from billing.usage.models import OPERATOR, Meter
from billing.usage.queries.measure import measure
from billing.usage.queries.question import Question
from kernel.gate import quota
from kernel.gate.quota import Standing
from kernel.gate.wire import HotConnection

ZERO: Final = Decimal(0)


class WindowMissingError(LookupError):
    """A quota has no open window: entitlements must be projected again, then read again."""


@dataclass(frozen=True, slots=True)
class Metered:
    """How a metered entitlement stands in its period. ``limit`` None is unlimited."""

    limit: Decimal | None
    soft: bool
    used: Decimal
    reserved: Decimal
    period: Period

    @property
    def balance(self) -> Decimal | None:
        """Give what is left of the allowance, never below 0; None if unlimited."""
        return None if self.limit is None else max(self.limit - self.used, ZERO)

    @property
    def remaining(self) -> Decimal | None:
        """Give what is left and not held by reservations; None if unlimited."""
        if self.limit is None:
            return None
        return max(self.limit - self.used - self.reserved, ZERO)

    @property
    def overage(self) -> Decimal:
        """Give the use beyond the allowance."""
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
    period = period_of(snapshot, effective, at)
    used = used_between(snapshot.tenant_id, effective.feature.meter, period.start, at)
    value = effective.value
    return EntitlementValue(effective, Metered(value.limit, value.soft, used, ZERO, period))


def used_between(tenant_id: UUID, slug: str, start: datetime, end: datetime) -> Decimal:
    """Sum up a tenant's use of the operator's meter in [start, end); 0 without the meter."""
    meter = Meter.visible().filter(scope=OPERATOR, slug=slug).first()
    if meter is None:
        return ZERO
    rows = measure(Question(meter=meter, start=start, end=end, tenants=[tenant_id]))
    return rows[0].value if rows else ZERO


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
        return EntitlementValue(effective, Metered(value.limit, value.soft, used, ZERO, period))
    standing = standings.get(effective.feature.key)
    if standing is None:
        raise WindowMissingError(effective.feature.key)
    period = Period(standing.start, standing.end)
    metered = Metered(value.limit, value.soft, standing.used, standing.reserved, period)
    return EntitlementValue(effective, metered)
