"""Entitlements as they are shown: rows of a tenant's own, and what its plan gives it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import QuerySet

from billing.catalog.models import Feature
from billing.catalog.models.recurrence import Cadence, Recurrence
from billing.catalog.models.values import Allowance, Kind, write
from billing.catalog.queries import FeatureFact
from billing.entitlements.models import Entitlement, EntitlementReset, EntitlementType
from billing.entitlements.models.effective import Snapshot
from billing.entitlements.models.entitlements import DEFAULT_PRIORITY
from billing.entitlements.models.streams import ResetFact, Stream
from billing.entitlements.queries.held import held
from billing.entitlements.queries.snapshots import ENTITLEMENTS
from billing.entitlements.queries.streams import Granted, granted_of, stream_of, streams_of
from billing.subscriptions.queries import current_subscription
from kernel.errors import NotFound
from tenants.models import Tenant

_UTC: Final = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One entitlement of a customer. Metered ones have a ``stream``; ``issue`` None: only grants.

    ``own`` tells whether it is the tenant's own, else it comes from its plan or an override.
    """

    id: UUID
    tenant_id: UUID
    customer_key: str
    type: EntitlementType
    feature_id: UUID
    feature_key: str
    own: bool
    created_at: datetime
    updated_at: datetime
    active_from: datetime
    deleted_at: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] | None = None
    stream: Stream | None = None
    soft: bool = False
    issue: Decimal | None = None
    priority: int = DEFAULT_PRIORITY


def of_customer(snapshot: Snapshot, at: datetime, *, deleted: bool = False) -> list[Listed]:
    """List what a customer holds, by feature key; deleted ones of its own too, if asked."""
    granted = granted_of(snapshot)
    own = _own(snapshot, granted, "true" if deleted else "deleted_at IS NULL")
    listed = [*own, *_planned(snapshot, at, granted)]
    return sorted(listed, key=lambda one: (one.feature_key, one.created_at))


def one_of_customer(
    snapshot: Snapshot, wanted: UUID, at: datetime, granted: Granted | None = None
) -> Listed:
    """Give one entitlement that a customer holds; ``granted`` None is read.

    Raises:
        kernel.errors.NotFound: it holds none such.
    """
    if any(own.id == wanted for own in snapshot.own.values()):
        granted = granted or granted_of(snapshot, wanted)
        found = _own(snapshot, granted, "id = $2::uuid AND deleted_at IS NULL", wanted)
    else:
        planned = _planned(snapshot, at, granted or granted_of(snapshot))
        found = [one for one in planned if one.id == wanted]
    if not found:
        raise NotFound("There is no such entitlement.", code="entitlement_not_found")
    return found[0]


def of_row(row: Entitlement, snapshot: Snapshot, granted: Granted) -> Listed:
    """List a row of a tenant whose snapshot is at hand."""
    features = (fact for fact in snapshot.features.values() if fact.id == row.feature_id)
    fact = next(features, None) or _fact(row.feature)
    return _row(row, fact, snapshot.slug, snapshot.zone, granted.resets.get(row.id, ()))


def _own(snapshot: Snapshot, granted: Granted, where: str, *values: UUID) -> list[Listed]:
    rows = ENTITLEMENTS.read(f"tenant_id = $1::uuid AND {where}", [snapshot.tenant_id, *values])
    return [of_row(row, snapshot, granted) for row in rows]


def of_rows(rows: QuerySet[Entitlement] | Sequence[Entitlement]) -> list[Listed]:
    """List rows of any tenants that the context may see, in four queries at most."""
    found = list(rows)
    if not found:
        return []
    tenants = {
        id_: (slug, ZoneInfo(zone))
        for id_, slug, zone in Tenant.objects.filter(
            id__in={row.tenant_id for row in found}
        ).values_list("id", "slug", "timezone")
    }
    resets = _resets(row.id for row in found)
    return [
        _row(row, _fact(row.feature), *tenants[row.tenant_id], resets.get(row.id, ()))
        for row in found
    ]


def _fact(feature: Feature) -> FeatureFact:
    kind = Kind(feature.kind)
    return FeatureFact(feature.id, feature.key, kind, feature.meter, feature.plan_limit)


def _row(
    row: Entitlement, feature: FeatureFact, slug: str, zone: ZoneInfo, resets: Sequence[ResetFact]
) -> Listed:
    stream = None
    if row.type == EntitlementType.METERED and row.anchor is not None:
        zone = _UTC if feature.plan_limit else zone
        stream = Stream(
            row.id,
            feature,
            Recurrence(Cadence.parse(row.interval), row.anchor, zone),
            row.active_from,
            begins=row.measure_from,
            priority=row.issue_priority,
            issues=row.issue is not None,
            preserve_overage=row.preserve_overage,
            resets=resets,
        )
    return Listed(
        id=row.id,
        tenant_id=row.tenant_id,
        customer_key=slug,
        type=EntitlementType(row.type),
        feature_id=row.feature_id,
        feature_key=feature.key,
        own=True,
        created_at=row.created_at,
        updated_at=row.updated_at,
        active_from=row.active_from,
        deleted_at=row.deleted_at,
        metadata=row.metadata,
        config=row.config,
        stream=stream,
        soft=row.soft,
        issue=row.issue,
        priority=row.issue_priority,
    )


def _planned(snapshot: Snapshot, at: datetime, granted: Granted) -> list[Listed]:
    subscription = current_subscription(snapshot.tenant_id)
    since = subscription.starts_at if subscription else at
    streams = streams_of(snapshot, snapshot.all(at), granted)
    listed = []
    for one in held(snapshot, at):
        if one.own:
            continue
        value, stream = one.effective.value, None
        config = None
        if isinstance(value, Allowance):
            stream = streams.get(one.feature.key) or stream_of(snapshot, one.effective)
        elif value is not None and one.type == EntitlementType.STATIC:
            stored = write(value)
            config = stored if isinstance(stored, dict) else {"value": stored}
        listed.append(
            Listed(
                id=one.id,
                tenant_id=snapshot.tenant_id,
                customer_key=snapshot.slug,
                type=one.type,
                feature_id=one.feature.id,
                feature_key=one.feature.key,
                own=False,
                created_at=since,
                updated_at=since,
                active_from=since,
                config=config,
                stream=stream,
                soft=isinstance(value, Allowance) and value.soft,
                issue=value.limit if isinstance(value, Allowance) else None,
            )
        )
    return listed


def _resets(streams: Iterable[UUID]) -> dict[UUID, list[ResetFact]]:
    rows = EntitlementReset.objects.filter(stream__in=list(streams)).order_by("at")
    found: dict[UUID, list[ResetFact]] = {}
    for stream, at, retain, keep in rows.values_list(
        "stream", "at", "retain_anchor", "preserve_overage"
    ):
        found.setdefault(stream, []).append(ResetFact(at, retain, keep))
    return found
