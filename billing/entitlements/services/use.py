"""Using a metered entitlement exactly: consume at once, or reserve, then commit or release.

Each is decided under the lock of the quotas of the feature's meter (kernel/sql/quota.sql), and what
is used is written as a usage event in the same transaction: quota, meter and invoice are one
ledger. A hold belongs to the periods in which it was taken, also when it is committed later.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from billing.catalog.models.values import Kind
from billing.catalog.queries import FeatureFact
from billing.entitlements.errors import QuotaUsedUpError, ReservationEndedError
from billing.entitlements.queries.values import exhausted_at
from billing.entitlements.services.projection import project
from billing.usage.queries.rates import per_hour, used_in_the_last_hour
from billing.usage.services.recording import write_use
from kernel import db
from kernel.errors import Invalid, NotFound
from kernel.gate import quota
from kernel.gate.quota import Check, Standing
from kernel.ids import encode, new_id

HOLD_PREFIX: Final = "hld"
USE_PREFIX: Final = "use"
CONSUMED: Final = "innkeeper/consume"
RESERVED: Final = "innkeeper/reservation"
"""Sources of the usage events. A service that reports a reserved use itself, as a CloudEvent, names
this source and the reservation's id: the two count once."""
SHORTEST, LONGEST = timedelta(seconds=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Used:
    """What was used and how the tightest quota stands after it; None without any quota.

    ``event_id`` is the id of the usage event; ``exhausted_at`` is when the quota is used up if use
    goes on as in the last hour, None if not before it starts anew.
    """

    event_id: str
    quantity: Decimal
    standing: Standing | None
    exhausted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Reservation:
    """A quantity held until ``expires_at``; the rest as in :class:`Used`."""

    id: str
    quantity: Decimal
    expires_at: datetime
    standing: Standing | None
    exhausted_at: datetime | None


def consume(tenant_id: UUID, feature: FeatureFact, quantity: Decimal, *, subject: str = "") -> Used:
    """Use a quantity, or nothing at all.

    Raises:
        QuotaUsedUpError: it does not fit; nothing is used.
        kernel.errors.Invalid: the feature is not counted in quotas, or the quantity is not above 0.
    """
    check_input(feature, quantity)
    with db.atomic():
        checked = _checked(tenant_id, feature.key, feature.meter, quantity)
        event_id = encode(USE_PREFIX, new_id())
        write_use(
            tenant_id=tenant_id,
            meter=feature.meter,
            quantity=quantity,
            event_id=event_id,
            data={},
            source=CONSUMED,
            subject=subject,
            at=checked.at,
        )
        standing = _after(checked, used=quantity)
        return Used(event_id, quantity, standing, _exhausted(tenant_id, feature.meter, standing))


def reserve(
    tenant_id: UUID, feature: FeatureFact, quantity: Decimal, ttl: timedelta
) -> Reservation:
    """Hold a quantity for a while, or nothing at all.

    Raises:
        QuotaUsedUpError: it does not fit; nothing is held.
        kernel.errors.Invalid: the feature is not counted in quotas, the quantity is not above 0,
            or the time is not between a second and a day.
    """
    check_input(feature, quantity)
    if feature.group_filters:
        raise Invalid(
            f"{feature.key} counts some groups of its meter: it is consumed, and not reserved.",
            code="not_consumable",
        )
    if not SHORTEST <= ttl <= LONGEST:
        raise Invalid("A reservation lasts from 1 to 86400 seconds.", pointer="/ttlSeconds")
    with db.atomic():
        checked = _checked(tenant_id, feature.key, feature.meter, quantity)
        hold_id = new_id()
        expires_at = quota.hold(
            tenant_id,
            hold_id,
            feature=feature.key,
            meter=feature.meter,
            at=checked.at,
            quantity=quantity,
            ttl=ttl,
        )
        standing = _after(checked, reserved=quantity)
        exhausted = _exhausted(tenant_id, feature.meter, standing)
        return Reservation(encode(HOLD_PREFIX, hold_id), quantity, expires_at, standing, exhausted)


def commit(
    tenant_id: UUID, feature: FeatureFact, hold_id: UUID, quantity: Decimal | None, subject: str
) -> Used:
    """Use up to what is held (all of it by default) and free the rest; beyond it, what still fits.

    Raises:
        kernel.errors.NotFound: the tenant has no such reservation of the feature.
        ReservationEndedError: it is committed, released or expired.
        QuotaUsedUpError: more than was held, and the excess does not fit; nothing changes.
        kernel.errors.Invalid: a negative quantity.
    """
    if quantity is not None and quantity < 0:
        raise Invalid("The quantity is at least 0.", pointer="/quantity")
    with db.atomic():
        held = _ended(tenant_id, feature, hold_id, "committed")
        amount = held.quantity if quantity is None else quantity
        if amount > held.quantity:
            checked = _checked(tenant_id, held.feature, held.meter, amount, held.at)
        else:
            checked = quota.check(tenant_id, held.meter, Decimal(0), held.at, feature=held.feature)
        event_id = encode(HOLD_PREFIX, hold_id)
        if amount > 0:
            write_use(
                tenant_id=tenant_id,
                meter=held.meter,
                quantity=amount,
                event_id=event_id,
                data={},
                source=RESERVED,
                subject=subject,
                at=held.at,
            )
        standing = _after(checked, used=amount)
        return Used(event_id, amount, standing, _exhausted(tenant_id, held.meter, standing))


def release(tenant_id: UUID, feature: FeatureFact, hold_id: UUID) -> None:
    """Free what is held.

    Raises:
        kernel.errors.NotFound: the tenant has no such reservation of the feature.
        ReservationEndedError: it is committed, released or expired.
    """
    with db.atomic():
        _ended(tenant_id, feature, hold_id, "released")


def check_input(feature: FeatureFact, quantity: Decimal) -> None:
    """Look for faults of what is asked for.

    Raises:
        kernel.errors.Invalid: use of the feature is not counted, or the gate counts it itself; or
            the quantity is not above 0.
    """
    if feature.kind is not Kind.METERED or feature.counted_by_gate:
        raise Invalid(
            f"{feature.key} is not counted in a quota that can be used.", code="not_consumable"
        )
    if quantity <= 0:
        raise Invalid("The quantity is above 0.", pointer="/quantity")


def _checked(
    tenant_id: UUID, feature: str, meter: str, quantity: Decimal, at: datetime | None = None
) -> Check:
    """Check under lock; open the periods if nobody has for a long time.

    Raises:
        QuotaUsedUpError: it does not fit.
    """
    checked = quota.check(tenant_id, meter, quantity, at, feature=feature)
    if checked.standing is None and at is None:
        project(tenant_id)
        checked = quota.check(tenant_id, meter, quantity, feature=feature)
    if checked.exceeded and checked.standing is not None:
        tight = checked.standing.feature
        returns = quota.access_returns(tenant_id, tight, checked.at)
        raise QuotaUsedUpError(checked.standing, returns)
    return checked


def _ended(tenant_id: UUID, feature: FeatureFact, hold_id: UUID, state: str) -> quota.EndedHold:
    held = quota.end_hold(tenant_id, hold_id, state)
    if held is None or held.feature != feature.key:
        raise NotFound("There is no such reservation.", code="reservation_not_found")
    if not held.ended:
        raise ReservationEndedError(held.state)
    return held


def _after(
    checked: Check, *, used: Decimal = Decimal(0), reserved: Decimal = Decimal(0)
) -> Standing | None:
    """Say how the tightest quota stands after the use: as it was found under the lock, and this."""
    found = checked.standing
    if found is None:
        return None
    return replace(found, used=found.used + used, reserved=found.reserved + reserved)


def _exhausted(tenant_id: UUID, meter: str, standing: Standing | None) -> datetime | None:
    """Say when a quota is used up at the rate of the last hour, this use included."""
    if standing is None or standing.hard_limit is None:
        return None
    now = datetime.now(UTC)
    recent = used_in_the_last_hour([tenant_id], [meter], now)
    rate = per_hour(recent.get((tenant_id, meter), Decimal(0)), now)
    return exhausted_at(standing.remaining, rate, standing.end, now)
