"""Giving a tenant an entitlement of its own, replacing one, deleting it, resetting its period."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from audit.services import record
from billing.actions import ENTITLEMENT_CREATED, ENTITLEMENT_DELETED, ENTITLEMENT_RESET
from billing.catalog.models.recurrence import Cadence, Recurrence
from billing.catalog.models.values import Kind, read
from billing.catalog.queries import FeatureFact, feature_by_key
from billing.entitlements import events
from billing.entitlements.errors import EntitlementExistsError, EntitlementOfPlanError
from billing.entitlements.models import Entitlement, EntitlementReset, EntitlementType
from billing.entitlements.models.effective import Snapshot
from billing.entitlements.models.entitlements import DEFAULT_PRIORITY, ENTITLEMENT_PREFIX
from billing.entitlements.models.streams import ResetFact
from billing.entitlements.queries.held import Held, feature_named, find, seek
from billing.entitlements.queries.listing import Listed, of_row
from billing.entitlements.queries.snapshots import ENTITLEMENTS, own_fact, static_value
from billing.entitlements.queries.streams import GRANTS, RESETS, stream_of, zone_of
from billing.entitlements.services.changing import Change, changing
from billing.entitlements.services.grants import NewGrant, add
from kernel.errors import Invalid
from kernel.events import emit
from kernel.ids import encode

STATIC_KINDS: Final = frozenset({Kind.NUMBER, Kind.ENUM, Kind.JSON, Kind.BOOLEAN})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEntitlement:
    """An entitlement to be. Everything after ``config`` is of metered ones only.

    ``anchor`` None is now, ``measure_from`` None is now, and the period's start if ``whole_period``
    is set. ``issue`` None: only grants grant.
    """

    type: EntitlementType
    feature: str
    config: Mapping[str, Any] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    cadence: Cadence | None = None
    anchor: datetime | None = None
    measure_from: datetime | None = None
    whole_period: bool = False
    soft: bool = False
    issue: Decimal | None = None
    issue_priority: int = DEFAULT_PRIORITY
    preserve_overage: bool = False
    grants: Sequence[NewGrant] = ()


def create(tenant_id: UUID, new: NewEntitlement) -> Listed:
    """Give a tenant an entitlement of a feature that it has none of.

    Raises:
        kernel.errors.NotFound: no such feature.
        kernel.errors.Invalid: a fault of form, or a type that the feature cannot have.
        EntitlementExistsError: it holds one, of its own or through its plan.
    """
    with changing(tenant_id, lambda snapshot: _feature(snapshot, new).key) as change:
        fact = change.snapshot.features[change.feature]
        present = seek(change.snapshot, fact.key, change.at)
        if present is not None:
            raise EntitlementExistsError(fact.key, encode(ENTITLEMENT_PREFIX, present.id))
        return _insert(change, fact, new, None)


def override(tenant_id: UUID, entitlement: str, new: NewEntitlement) -> Listed:
    """Put an entitlement in the place of another of the same feature, whose grants end.

    Raises:
        kernel.errors.NotFound: the tenant holds no such entitlement, or no such feature exists.
        kernel.errors.Invalid: a fault of form, or another feature than the replaced one's.
    """
    with changing(tenant_id, lambda snapshot: feature_named(snapshot, entitlement)) as change:
        present = find(change.snapshot, entitlement, change.at)
        fact = _feature(change.snapshot, new)
        if fact.key != present.feature.key:
            raise Invalid("The feature is that of what is replaced.", pointer="/featureKey")
        _end(change, present)
        return _insert(change, fact, new, present)


def delete(tenant_id: UUID, entitlement: str) -> None:
    """End an entitlement of the tenant's own, with its grants; what the plan says holds from now.

    Raises:
        kernel.errors.NotFound: the tenant holds no such entitlement.
        EntitlementOfPlanError: its plan gives it.
    """
    with changing(tenant_id, lambda snapshot: feature_named(snapshot, entitlement)) as change:
        present = find(change.snapshot, entitlement, change.at)
        if not present.own:
            raise EntitlementOfPlanError("The entitlement is the plan's: override it instead.")
        _end(change, present)
        shown = encode(ENTITLEMENT_PREFIX, present.id)
        record(
            action=ENTITLEMENT_DELETED.name,
            target_type="entitlement",
            target_id=shown,
            before={"feature": present.feature.key, "type": present.type},
            tenant_id=tenant_id,
        )
        emit(
            events.EntitlementChanged(
                tenant_id=tenant_id,
                entitlement=shown,
                feature=present.feature.key,
                change="deleted",
            )
        )


def reset(
    tenant_id: UUID,
    entitlement: str,
    *,
    at: datetime | None = None,
    retain_anchor: bool = False,
    preserve_overage: bool | None = None,
) -> EntitlementReset:
    """End the running usage period now, or at an instant of it that has passed.

    Without ``retain_anchor`` later periods are counted from there. ``preserve_overage`` None does
    what the entitlement says.

    Raises:
        kernel.errors.NotFound: the tenant holds no such entitlement.
        kernel.errors.Invalid: it is not metered, or the instant is not within the running period.
    """
    with changing(tenant_id, lambda snapshot: feature_named(snapshot, entitlement)) as change:
        present = find(change.snapshot, entitlement, change.at)
        if present.type != EntitlementType.METERED or not present.feature.has_quota:
            raise Invalid("Only metered entitlements are reset.", code="not_grantable")
        stream = change.granted.on(stream_of(change.snapshot, present.effective))
        when = at or change.at
        if not stream.period(change.at).start < when <= change.at:
            raise Invalid(
                "A reset lies in the running usage period, and has passed.",
                pointer="/effectiveAt",
            )
        keeps = stream.preserve_overage if preserve_overage is None else preserve_overage
        done = EntitlementReset(
            tenant_id=tenant_id,
            feature_id=present.feature.id,
            stream=present.id,
            at=when,
            retain_anchor=retain_anchor,
            preserve_overage=keeps,
        )
        RESETS.insert(done)
        change.granted = change.granted.after(present.id, ResetFact(when, retain_anchor, keeps))
        shown = encode(ENTITLEMENT_PREFIX, present.id)
        record(
            action=ENTITLEMENT_RESET.name,
            target_type="entitlement",
            target_id=shown,
            after={"at": when, "retain_anchor": retain_anchor, "preserve_overage": keeps},
            tenant_id=tenant_id,
        )
        emit(
            events.EntitlementReset(
                tenant_id=tenant_id,
                entitlement=shown,
                feature=present.feature.key,
                at=when.isoformat(),
                preserve_overage=keeps,
            )
        )
        return done


def _feature(snapshot: Snapshot, new: NewEntitlement) -> FeatureFact:
    """Find the feature, and check that it can have the type.

    Raises:
        kernel.errors.NotFound: there is none, or it is archived.
        kernel.errors.Invalid: it cannot.
    """
    fact = snapshot.features.get(new.feature)
    if fact is None:  # by its id, archived, or none
        fact = snapshot.features.get(feature_by_key(new.feature).key)
    if fact is None:
        raise Invalid("The feature is archived.", code="invalid", pointer="/featureKey")
    fits = {
        EntitlementType.METERED: fact.has_quota,
        EntitlementType.STATIC: fact.kind in STATIC_KINDS,
        EntitlementType.BOOLEAN: fact.kind is Kind.BOOLEAN,
    }
    if not fits[new.type]:
        raise Invalid(f"A {fact.kind} feature has no {new.type} entitlements.", pointer="/type")
    if new.type == EntitlementType.STATIC and fact.kind is not Kind.BOOLEAN:
        read(fact.kind, static_value(dict(new.config or {})), fact.options, "/config")
    return fact


def _insert(change: Change, fact: FeatureFact, new: NewEntitlement, present: Held | None) -> Listed:
    row = Entitlement(
        tenant_id=change.snapshot.tenant_id,
        feature_id=fact.id,
        type=new.type,
        config=None if new.config is None else dict(new.config),
        metadata=dict(new.metadata),
        active_from=change.at,
    )
    if new.type == EntitlementType.METERED:
        _meter(change, fact, new, row)
    ENTITLEMENTS.insert(row)
    own = own_fact(row)
    change.snapshot = replace(change.snapshot, own={**change.snapshot.own, fact.key: own})
    held = find(change.snapshot, fact.key, change.at)
    for grant in new.grants:
        add(change, held, grant)
    shown = encode(ENTITLEMENT_PREFIX, row.id)
    replaced = encode(ENTITLEMENT_PREFIX, present.id) if present else None
    record(
        action=ENTITLEMENT_CREATED.name,
        target_type="entitlement",
        target_id=shown,
        after=_facts(row, fact) | ({"replaced": replaced} if replaced else {}),
        tenant_id=row.tenant_id,
    )
    emit(
        events.EntitlementChanged(
            tenant_id=row.tenant_id,
            entitlement=shown,
            feature=fact.key,
            change="replaced" if present else "created",
            replaced=replaced,
        )
    )
    return of_row(row, change.snapshot, change.granted)


def _meter(change: Change, fact: FeatureFact, new: NewEntitlement, row: Entitlement) -> None:
    """Fill in what only metered entitlements have.

    Raises:
        kernel.errors.Invalid: no usage period, or use counted from the future.
    """
    if new.cadence is None:
        raise Invalid("A metered entitlement has a usage period.", pointer="/usagePeriod")
    if new.measure_from is not None and new.measure_from > change.at:
        raise Invalid("Use is counted from now or before.", pointer="/measureUsageFrom")
    row.anchor = new.anchor or change.at
    zone = zone_of(change.snapshot, fact)
    running = Recurrence(new.cadence, row.anchor, zone).period(change.at)
    begins = running.start if new.whole_period else new.measure_from or change.at
    row.interval, row.measure_from = new.cadence.iso, begins
    row.soft, row.issue, row.issue_priority = new.soft, new.issue, new.issue_priority
    row.preserve_overage = new.preserve_overage


def _end(change: Change, present: Held) -> None:
    """End an entitlement's grants, and its row if it has one."""
    GRANTS.update(
        "deleted_at = $1::timestamptz",
        "tenant_id = $2::uuid AND stream = $3::uuid AND deleted_at IS NULL",
        [change.at, present.tenant_id, present.id],
    )
    change.granted = change.granted.but(present.id, ())
    if present.own:
        ENTITLEMENTS.update(
            "deleted_at = $1::timestamptz, updated_at = $1::timestamptz",
            "tenant_id = $2::uuid AND id = $3::uuid",
            [change.at, present.tenant_id, present.id],
        )
        left = {key: own for key, own in change.snapshot.own.items() if own.id != present.id}
        change.snapshot = replace(change.snapshot, own=left)


def _facts(row: Entitlement, fact: FeatureFact) -> dict[str, Any]:
    facts: dict[str, Any] = {"feature": fact.key, "type": row.type}
    if row.type == EntitlementType.STATIC:
        return facts | {"config": row.config}
    if row.type == EntitlementType.METERED:
        facts |= {
            "interval": row.interval,
            "anchor": row.anchor,
            "measure_from": row.measure_from,
            "soft": row.soft,
            "issue": None if row.issue is None else f"{row.issue:f}",
            "preserve_overage": row.preserve_overage,
        }
    return facts
