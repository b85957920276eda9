"""Giving a tenant an amount of a metered entitlement, and voiding it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from audit.services import record
from billing.actions import GRANT_CREATED, GRANT_VOIDED
from billing.catalog.models.periods import instant
from billing.catalog.models.recurrence import Cadence
from billing.entitlements.events import GrantCreated, GrantVoided
from billing.entitlements.models import EntitlementType, ExpiryUnit, Grant
from billing.entitlements.models.effective import Snapshot
from billing.entitlements.models.entitlements import DEFAULT_PRIORITY, ENTITLEMENT_PREFIX
from billing.entitlements.models.grants import GRANT_PREFIX
from billing.entitlements.queries.held import Held, feature_named, find
from billing.entitlements.queries.streams import GRANTS, fact_of, stream_of, zone_of
from billing.entitlements.services.changing import Change, changing
from kernel import db
from kernel.errors import Conflict, Invalid, NotFound
from kernel.events import emit
from kernel.ids import encode

MOST_LIVE: Final = 100
"""How many grants of one entitlement can be usable, now or later, at a time."""
MOST_UNITS: Final = 1_000
_GRANT: Final = """
SELECT f.key, g.voided_at IS NOT NULL
  FROM billing_grant g JOIN billing_feature f ON f.id = g.feature_id
 WHERE g.tenant_id = $1::uuid AND g.id = $2::uuid AND g.deleted_at IS NULL
"""
SLACK: Final = timedelta(minutes=1)
"""How far the clock of a caller who means now may be behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGrant:
    """A grant to be, of ``amount`` from ``effective_at`` on.

    ``expiry`` is a number of units after it, in the tenant's zone; None is never. A recurrence is
    counted from ``anchor``, by default the start. ``max_rollover`` None is the amount.
    """

    amount: Decimal
    effective_at: datetime
    priority: int = DEFAULT_PRIORITY
    expiry: tuple[ExpiryUnit, int] | None = None
    min_rollover: Decimal = Decimal(0)
    max_rollover: Decimal | None = None
    cadence: Cadence | None = None
    anchor: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, Any] = field(default_factory=dict)


def give(tenant_id: UUID, entitlement: str, new: NewGrant) -> Grant:
    """Grant an amount of a metered entitlement, named by its id or its feature's key.

    Raises:
        kernel.errors.NotFound: the tenant holds no such entitlement.
        kernel.errors.Invalid: it is not metered, or the grant starts before the running period.
        kernel.errors.Conflict: too many grants are usable already.
    """
    with changing(tenant_id, lambda snapshot: feature_named(snapshot, entitlement)) as change:
        return add(change, find(change.snapshot, entitlement, change.at), new)


def add(change: Change, held: Held, new: NewGrant) -> Grant:
    """Write a grant within a change that is under way; raises as :func:`give` does."""
    new = _checked(change, held, new)
    zone = zone_of(change.snapshot, held.feature)
    unit, count = new.expiry or ("", None)
    grant = Grant(
        tenant_id=held.tenant_id,
        feature_id=held.feature.id,
        stream=held.id,
        amount=new.amount,
        priority=new.priority,
        effective_at=new.effective_at,
        expiry_unit=unit,
        expiry_count=count,
        expires_at=expiry(new, zone),
        min_rollover=new.min_rollover,
        max_rollover=new.amount if new.max_rollover is None else new.max_rollover,
        interval=new.cadence.iso if new.cadence else "",
        anchor=new.anchor,
        metadata=dict(new.metadata),
        annotations=dict(new.annotations),
    )
    GRANTS.insert(grant)
    given = (*change.granted.grants.get(held.id, ()), fact_of(grant, zone))
    change.granted = change.granted.but(held.id, given)
    record(
        action=GRANT_CREATED.name,
        target_type="grant",
        target_id=encode(GRANT_PREFIX, grant.id),
        after=_facts(grant, held),
        tenant_id=held.tenant_id,
    )
    emit(
        GrantCreated(
            tenant_id=held.tenant_id,
            grant=encode(GRANT_PREFIX, grant.id),
            entitlement=encode(ENTITLEMENT_PREFIX, held.id),
            feature=held.feature.key,
            amount=f"{grant.amount:f}",
            effective_at=grant.effective_at.isoformat(),
            expires_at=grant.expires_at.isoformat() if grant.expires_at else None,
        )
    )
    return grant


def void(tenant_id: UUID, grant_id: UUID, at: datetime | None = None) -> Grant:
    """Void a grant: what is left of it cannot be used from now on, or from a later instant ``at``.

    What it has covered stays covered.

    Raises:
        kernel.errors.NotFound: the tenant has no such grant.
        kernel.errors.Conflict: it is voided already.
        kernel.errors.Invalid: ``at`` has passed.
    """
    with changing(tenant_id, lambda snapshot: _feature_of(snapshot, grant_id)) as change:
        if at is not None and at < change.at - SLACK:
            raise Invalid("A grant is voided from now on, or later.", pointer="/query/at")
        end = max(change.at, at or change.at)
        (grant,) = GRANTS.update(
            "voided_at = $1::timestamptz, updated_at = clock_timestamp()",
            "tenant_id = $2::uuid AND id = $3::uuid",
            [end, tenant_id, grant_id],
        )
        before = change.granted.grants.get(grant.stream, ())
        voided = (replace(one, voided_at=end) if one.id == grant_id else one for one in before)
        change.granted = change.granted.but(grant.stream, tuple(voided))
        shown = encode(GRANT_PREFIX, grant.id)
        record(
            action=GRANT_VOIDED.name,
            target_type="grant",
            target_id=shown,
            before={"voided_at": None},
            after={"voided_at": end},
            tenant_id=tenant_id,
        )
        emit(
            GrantVoided(
                tenant_id=tenant_id,
                grant=shown,
                entitlement=encode(ENTITLEMENT_PREFIX, grant.stream),
                feature=change.feature,
                at=end.isoformat(),
            )
        )
    return grant


def _feature_of(snapshot: Snapshot, grant_id: UUID) -> str:
    """Name the feature of a grant that can be voided; archived ones too.

    Raises:
        kernel.errors.NotFound: the tenant has no such grant.
        kernel.errors.Conflict: it is voided already.
    """
    found = db.rows(_GRANT, [snapshot.tenant_id, grant_id])
    if not found:
        raise NotFound("There is no such grant.", code="grant_not_found")
    ((key, voided),) = found
    if voided:
        raise Conflict("The grant is voided.", code="grant_voided")
    return str(key)


def expiry(new: NewGrant, zone: ZoneInfo) -> datetime | None:
    """Say when a grant expires; hours are exact, days and longer units civil in the zone.

    Raises:
        kernel.errors.Invalid: beyond the calendar.
    """
    if new.expiry is None:
        return None
    unit, count = new.expiry
    try:
        if unit == ExpiryUnit.HOUR:
            return new.effective_at + timedelta(hours=count)
        civil = new.effective_at.astimezone(zone).replace(tzinfo=None)
        return instant(Cadence.parse(unit).after(civil, count), zone)
    except (OverflowError, ValueError):
        raise Invalid("It expires too late.", pointer="/expiration/count") from None


def _checked(change: Change, held: Held, new: NewGrant) -> NewGrant:
    """Check a grant against what is there; one that just missed the period starts with it."""
    if held.type != EntitlementType.METERED or not held.feature.has_quota:
        raise Invalid(
            "Grants belong to metered entitlements that quotas count.", code="not_grantable"
        )
    stream = change.granted.on(stream_of(change.snapshot, held.effective))
    running = stream.period(change.at)
    if new.effective_at < running.start - SLACK:
        raise Invalid(
            f"A grant starts in the running usage period, from {running.start.isoformat()}, or"
            " later.",
            pointer="/effectiveAt",
        )
    if sum(grant.end > change.at for grant in stream.grants) >= MOST_LIVE:
        raise Conflict(f"There are {MOST_LIVE} grants to use already.", code="too_many_grants")
    return replace(new, effective_at=max(new.effective_at, running.start))


def _facts(grant: Grant, held: Held) -> dict[str, Any]:
    return {
        "entitlement": encode(ENTITLEMENT_PREFIX, held.id),
        "feature": held.feature.key,
        "amount": f"{grant.amount:f}",
        "priority": grant.priority,
        "effective_at": grant.effective_at,
        "expires_at": grant.expires_at,
        "recurs": grant.interval,
        "min_rollover": f"{grant.min_rollover:f}",
        "max_rollover": f"{grant.max_rollover:f}",
    }
