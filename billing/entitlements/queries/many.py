"""The values of many features of many tenants at once, in a constant number of statements."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from billing.catalog.models.values import Kind, Value, read
from billing.catalog.queries import FeatureFact, content_of, feature_facts
from billing.entitlements.models import Mode
from billing.entitlements.models.effective import Effective, OverrideFact, OwnFact, Snapshot
from billing.entitlements.queries.snapshots import ENTITLEMENTS, own_fact, planned_values
from billing.entitlements.queries.values import EntitlementValue, Use, evaluated, filtered_use
from billing.subscriptions.queries.subscriptions import current_version_ids
from billing.usage.queries.rates import requests_in_the_last_hour, used_in_the_last_hour
from kernel import db
from kernel.gate import quota
from tenants.models import Status
from tenants.queries import ROWS as TENANTS

_OVERRIDES: Final = """
SELECT o.tenant_id, f.key, f.options, o.id, o.mode, o.value, o.starts_at, o.expires_at
  FROM billing_override o JOIN billing_feature f ON f.id = o.feature_id
 WHERE o.tenant_id = ANY ($1::uuid[]) AND o.revoked_at IS NULL AND NOT o.paused
"""
MOST: Final = 100
"""How many customers, and how many features, one question may name."""


@dataclass(frozen=True, slots=True)
class Known:
    """A tenant that was asked about, by any of its names."""

    id: UUID
    slug: str
    zone: ZoneInfo


def known(ids: Collection[UUID], slugs: Collection[str]) -> list[Known]:
    """Find living tenants by id or slug, as far as the context may see them, by id."""
    found = TENANTS.read(
        "(id = ANY ($1::uuid[]) OR slug = ANY ($2::text[])) AND status <> $3",
        [list(ids), list(slugs), Status.CLOSED.value],
        "ORDER BY id",
    )
    return [Known(one.id, one.slug, ZoneInfo(one.timezone)) for one in found]


def values_of(
    tenants: Sequence[Known], keys: Sequence[str] | None, at: datetime
) -> tuple[dict[UUID, dict[str, EntitlementValue | None]], list[UUID]]:
    """Give the values of features by tenant and key; without keys, of all that is granted.

    An unknown feature is None, and so is a quota without an open window: the tenants that have one
    are named beside, they must be projected.
    """
    snapshots = _snapshots(tenants)
    wanted = {one.tenant_id: _wanted(one, keys, at) for one in snapshots}
    use = _use({one.tenant_id: one for one in snapshots}, wanted, at)
    answer: dict[UUID, dict[str, EntitlementValue | None]] = {}
    missing = []
    for snapshot in snapshots:
        tenant_id = snapshot.tenant_id
        found = {
            one.feature.key: evaluated(snapshot, one, at, use[tenant_id])
            for one in wanted[tenant_id]
        }
        answer[tenant_id] = dict.fromkeys(keys or ()) | found
        if None in found.values():
            missing.append(tenant_id)
    return answer, missing


def _wanted(snapshot: Snapshot, keys: Sequence[str] | None, at: datetime) -> list[Effective]:
    if keys is None:
        return [one for one in snapshot.all(at) if one.granted]
    found = (snapshot.effective(key, at) for key in keys)
    return [one for one in found if one is not None]


def _use(
    snapshots: Mapping[UUID, Snapshot], wanted: Mapping[UUID, Sequence[Effective]], at: datetime
) -> dict[UUID, Use]:
    """Read what is used, and how fast, of everything that is wanted.

    Features that count only some groups of a meter are counted one by one.
    """
    features = [one.feature for effective in wanted.values() for one in effective if one.granted]
    tenants = list(wanted)
    standings: Mapping[UUID, Mapping[str, quota.Standing]] = {}
    requests: Mapping[UUID, int] = {}
    meters = {feature.meter for feature in features if feature.has_quota}
    rates: dict[tuple[UUID, str], Decimal] = {}
    if meters:
        standings = quota.standings_of(tenants, at)
        rates |= used_in_the_last_hour(tenants, sorted(meters), at)
    if any(feature.counted_by_gate for feature in features):
        requests = quota.requests_of(tenants)
        rates |= requests_in_the_last_hour(tenants, at)
    recent: defaultdict[UUID, dict[str, Decimal]] = defaultdict(dict)
    for (whose, meter), used in rates.items():
        recent[whose][meter] = used
    return {
        tenant_id: Use(
            standings.get(tenant_id, {}),
            requests.get(tenant_id, 0),
            recent[tenant_id],
            filtered_use(snapshots[tenant_id], effective, at),
        )
        for tenant_id, effective in wanted.items()
    }


def _snapshots(tenants: Sequence[Known]) -> list[Snapshot]:
    ids = [tenant.id for tenant in tenants]
    features = feature_facts()
    versions = current_version_ids(ids)
    overrides = _overrides(ids, features)
    own = _own(ids, features)
    return [
        _snapshot(tenant, features, versions.get(tenant.id), overrides[tenant.id], own[tenant.id])
        for tenant in tenants
    ]


def _snapshot(
    tenant: Known,
    features: dict[str, FeatureFact],
    version_id: UUID | None,
    overrides: dict[str, tuple[OverrideFact, ...]],
    own: dict[str, OwnFact],
) -> Snapshot:
    plan = content_of(version_id) if version_id else None
    planned: dict[str, Value] = planned_values(plan, features)
    return Snapshot(tenant.id, tenant.slug, tenant.zone, plan, features, planned, overrides, own)


def _own(
    tenant_ids: Sequence[UUID], features: Mapping[str, FeatureFact]
) -> defaultdict[UUID, dict[str, OwnFact]]:
    keys = {feature.id: key for key, feature in features.items()}
    found: defaultdict[UUID, dict[str, OwnFact]] = defaultdict(dict)
    where = "tenant_id = ANY ($1::uuid[]) AND deleted_at IS NULL"
    for row in ENTITLEMENTS.read(where, [tenant_ids]):
        if row.feature_id in keys:
            found[row.tenant_id][keys[row.feature_id]] = own_fact(row)
    return found


def _overrides(
    tenant_ids: Sequence[UUID], features: Mapping[str, FeatureFact]
) -> defaultdict[UUID, dict[str, tuple[OverrideFact, ...]]]:
    found: defaultdict[UUID, dict[str, tuple[OverrideFact, ...]]] = defaultdict(dict)
    for whose, key, options, id_, mode, value, starts_at, expires_at in db.rows(
        _OVERRIDES, [tenant_ids]
    ):
        if key in features:
            typed = read(Kind(features[key].kind), json.loads(value), json.loads(options))
            fact = OverrideFact(id_, Mode(mode), typed, starts_at, expires_at)
            found[whose][key] = (*found[whose].get(key, ()), fact)
    return found
