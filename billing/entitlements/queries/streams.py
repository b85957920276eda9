"""Reads of streams: which metered entitlements of a tenant burn grants, and what decides them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
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
from kernel import db
from kernel.tenancy.direct import Direct

GRANTS: Final = Direct(Grant)
"""Grants by prepared statements, for changes."""
RESETS: Final = Direct(EntitlementReset)
"""Resets by prepared statements, for changes."""
_UTC: Final = ZoneInfo("UTC")
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Granted:
    """The grants and resets of a tenant's entitlements, by stream; resets by time."""

    grants: Mapping[UUID, tuple[GrantFact, ...]]
    resets: Mapping[UUID, tuple[ResetFact, ...]]

    def on(self, stream: Stream) -> Stream:
        """Give a bare stream with its grants and resets."""
        grants, resets = self.grants.get(stream.id, ()), self.resets.get(stream.id, ())
        return replace(stream, grants=grants, resets=resets)

    def but(self, stream: UUID, grants: tuple[GrantFact, ...]) -> "Granted":
        """Give the same with other grants of one stream."""
        return Granted({**self.grants, stream: grants}, self.resets)

    def after(self, stream: UUID, reset: ResetFact) -> "Granted":
        """Give the same with one more reset of a stream."""
        resets = sorted((*self.resets.get(stream, ()), reset), key=lambda one: one.at)
        return Granted(self.grants, {**self.resets, stream: tuple(resets)})


def granted_of(
    snapshot: Snapshot, stream: UUID | None = None, *, feature: UUID | None = None
) -> Granted:
    """Read the grants and resets of a tenant, or those of one stream or one feature."""
    asked = [snapshot.tenant_id, stream, feature]
    return Granted(_grants(snapshot, asked), _resets(asked))


def streams_of(
    snapshot: Snapshot, effective: Iterable[Effective], granted: Granted | None = None
) -> dict[str, Stream]:
    """Give the streams of those metered features that burn grants, by feature key.

    A feature that has neither an entitlement of the tenant's own nor grants nor resets is a plain
    quota. ``granted`` None is read.
    """
    granted = granted or granted_of(snapshot)
    found = {}
    any_granted = bool(granted.grants or granted.resets)
    for one in effective:
        own = one.feature.key in snapshot.own
        if one.feature.has_quota and (own or any_granted):
            stream = granted.on(stream_of(snapshot, one))
            if own or stream.grants or stream.resets:
                found[one.feature.key] = stream
    return found


def stream_with_grants(snapshot: Snapshot, effective: Effective) -> Stream:
    """Give the stream of one metered feature, with its grants and resets."""
    stream = stream_of(snapshot, effective)
    return granted_of(snapshot, stream.id).on(stream)


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
        _recurrence(grant.interval, grant.anchor or grant.effective_at, zone),
    )


def _recurrence(interval: str, anchor: datetime, zone: ZoneInfo) -> Recurrence | None:
    return Recurrence(Cadence.parse(interval), anchor, zone) if interval else None


_READ_GRANTS: Final = """
SELECT feature_id, stream, interval, coalesce(anchor, effective_at), id, amount, priority,
       effective_at, expires_at, created_at, voided_at, min_rollover, max_rollover
  FROM billing_grant
 WHERE tenant_id = $1::uuid AND deleted_at IS NULL AND stream = coalesce($2::uuid, stream)
   AND feature_id = coalesce($3::uuid, feature_id)
"""
_READ_RESETS: Final = """
SELECT stream, at, retain_anchor, preserve_overage FROM billing_entitlement_reset
 WHERE tenant_id = $1::uuid AND stream = coalesce($2::uuid, stream)
   AND feature_id = coalesce($3::uuid, feature_id) ORDER BY at
"""


def _grants(snapshot: Snapshot, asked: list[UUID | None]) -> dict[UUID, tuple[GrantFact, ...]]:
    zones = {fact.id: zone_of(snapshot, fact) for fact in snapshot.features.values()}
    found: dict[UUID, list[GrantFact]] = {}
    for feature, of, interval, anchor, *facts in db.rows(_READ_GRANTS, asked):
        facts.append(_recurrence(interval, anchor, zones.get(feature, snapshot.zone)))
        found.setdefault(of, []).append(GrantFact(*facts))
    return {of: tuple(facts) for of, facts in found.items()}


def _resets(asked: list[UUID | None]) -> dict[UUID, tuple[ResetFact, ...]]:
    found: dict[UUID, list[ResetFact]] = {}
    for of, *facts in db.rows(_READ_RESETS, asked):
        found.setdefault(of, []).append(ResetFact(*facts))
    return {of: tuple(facts) for of, facts in found.items()}
