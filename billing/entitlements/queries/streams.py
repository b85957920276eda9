"""Reads of streams: which metered entitlements of a tenant burn grants, and what decides them."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from billing.catalog.models.periods import MONDAY, NEW_YEAR
from billing.catalog.models.recurrence import CADENCES, Cadence, Recurrence
from billing.catalog.models.values import Interval
from billing.catalog.queries import FeatureFact
from billing.entitlements.models import EntitlementReset, Grant, plan_stream
from billing.entitlements.models.effective import Effective, Snapshot
from billing.entitlements.models.projection import interval_of
from billing.entitlements.models.streams import GrantFact, ResetFact, Stream

_UTC: Final = ZoneInfo("UTC")
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


def streams_of(snapshot: Snapshot, at: datetime) -> dict[str, Stream]:
    """Give the streams of all metered features that burn grants, by feature key.

    A feature that has neither an entitlement of the tenant's own nor grants nor resets is a plain
    quota.
    """
    grants = _grants(snapshot)
    resets = _resets(snapshot.tenant_id)
    found = {}
    for effective in snapshot.all(at):
        if effective.feature.has_quota:
            stream = stream_of(snapshot, effective)
            mine = tuple(grants.get(stream.id, ())), tuple(resets.get(stream.id, ()))
            if any(mine) or snapshot.own.get(effective.feature.key) is not None:
                found[effective.feature.key] = _with(stream, *mine)
    return found


def stream_with_grants(snapshot: Snapshot, effective: Effective) -> Stream:
    """Give the stream of one metered feature, with its grants and resets."""
    stream = stream_of(snapshot, effective)
    grants, resets = _grants(snapshot, stream.id), _resets(snapshot.tenant_id, stream.id)
    return _with(stream, tuple(grants.get(stream.id, ())), tuple(resets.get(stream.id, ())))


def stream_of(snapshot: Snapshot, effective: Effective) -> Stream:
    """Give the bare stream of one metered feature: the tenant's own, or that of its plan."""
    feature = effective.feature
    own = snapshot.own.get(feature.key)
    if own is None or own.cadence is None or own.anchor is None:
        return Stream(
            plan_stream(snapshot.tenant_id, feature.id),
            feature,
            calendar(interval_of(effective), zone_of(snapshot, feature)),
            _LONG_AGO,
        )
    return Stream(
        own.id,
        feature,
        Recurrence(own.cadence, own.anchor, zone_of(snapshot, feature)),
        own.active_from,
        begins=own.measure_from,
        priority=own.priority,
        issues=own.issues,
        preserve_overage=own.preserve_overage,
    )


def zone_of(snapshot: Snapshot, feature: FeatureFact) -> ZoneInfo:
    """Give the zone of a feature's periods: the tenant's, but for limits of the plan UTC."""
    return _UTC if feature.plan_limit else snapshot.zone


def calendar(interval: Interval, zone: ZoneInfo) -> Recurrence:
    """Give the calendar's periods of an interval in a zone."""
    anchor = MONDAY if interval is Interval.WEEK else NEW_YEAR
    return Recurrence(CADENCES[interval], anchor.replace(tzinfo=zone), zone)


def fact_of(grant: Grant, zone: ZoneInfo) -> GrantFact:
    """Give what burning needs to know of a grant."""
    recurrence = None
    if grant.interval:
        recurrence = Recurrence(
            Cadence.parse(grant.interval), grant.anchor or grant.effective_at, zone
        )
    return GrantFact(
        grant.id,
        grant.amount,
        grant.priority,
        grant.effective_at,
        grant.expires_at,
        grant.created_at,
        grant.voided_at,
        grant.min_rollover,
        grant.max_rollover,
        recurrence,
    )


def _with(stream: Stream, grants: tuple[GrantFact, ...], resets: tuple[ResetFact, ...]) -> Stream:
    return Stream(
        stream.id,
        stream.feature,
        stream.recurrence,
        stream.created_at,
        stream.begins,
        stream.priority,
        stream.issues,
        stream.preserve_overage,
        grants,
        resets,
    )


def _grants(snapshot: Snapshot, stream: UUID | None = None) -> dict[UUID, list[GrantFact]]:
    rows = Grant.objects.filter(tenant_id=snapshot.tenant_id, deleted_at=None)
    if stream is not None:
        rows = rows.filter(stream=stream)
    zones = {fact.id: zone_of(snapshot, fact) for fact in snapshot.features.values()}
    found: dict[UUID, list[GrantFact]] = {}
    for grant in rows:
        zone = zones.get(grant.feature_id, snapshot.zone)
        found.setdefault(grant.stream, []).append(fact_of(grant, zone))
    return found


def _resets(tenant_id: UUID, stream: UUID | None = None) -> dict[UUID, list[ResetFact]]:
    rows = EntitlementReset.objects.filter(tenant_id=tenant_id).order_by("at")
    if stream is not None:
        rows = rows.filter(stream=stream)
    found: dict[UUID, list[ResetFact]] = {}
    for id_, at, retain, keep in rows.values_list(
        "stream", "at", "retain_anchor", "preserve_overage"
    ):
        found.setdefault(id_, []).append(ResetFact(at, retain, keep))
    return found
