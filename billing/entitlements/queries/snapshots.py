"""Snapshots: what decides a tenant's entitlements, in process memory, never stale.

A snapshot is keyed by the versions that the gate returned with the request. Whatever changes an
entitlement or the tenant raises a version in its own transaction, so the next request anywhere asks
for a snapshot that nobody has yet. Overrides start and end by the clock inside a snapshot.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from billing.catalog.models.recurrence import Cadence
from billing.catalog.models.values import Allowance, Kind, Value, read
from billing.catalog.queries import FeatureFact, PlanContent, content_of, feature_facts
from billing.entitlements.models import Entitlement, EntitlementType, Mode
from billing.entitlements.models.effective import OverrideFact, OwnFact, Snapshot
from billing.subscriptions.queries import version_id_at
from kernel import db, tenancy
from kernel.authz import Principal
from kernel.tenancy.direct import Direct
from tenants.queries import missing

CAPACITY: Final = 1_024
"""How many tenants' snapshots a process keeps, least recently used out first (about 10 KB each)."""


# Most tenants have neither overrides nor entitlements of their own: those are read where there are.
_STANDING: Final = """
SELECT t.slug, t.timezone,
       (SELECT s.version_id FROM billing_subscription s
         WHERE s.tenant_id = t.id AND s.ends_at IS NULL),
       EXISTS (SELECT FROM billing_override o WHERE o.tenant_id = t.id AND o.revoked_at IS NULL),
       EXISTS (SELECT FROM billing_entitlement e WHERE e.tenant_id = t.id)
  FROM tenants_tenant t WHERE t.id = $1::uuid
"""
_OVERRIDES: Final = """
SELECT f.key, f.options, o.id, o.mode, o.value, o.starts_at, o.expires_at
  FROM billing_override o JOIN billing_feature f ON f.id = o.feature_id
 WHERE o.tenant_id = $1::uuid AND o.revoked_at IS NULL AND NOT o.paused
"""
ENTITLEMENTS: Final = Direct(Entitlement)
"""Entitlements of tenants' own by prepared statements, for changes."""

Version = tuple[int, int]


class SnapshotCache:
    """The newest snapshot of each recently seen tenant."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[UUID, tuple[Version, Snapshot]] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, tenant_id: UUID, version: Version) -> Snapshot | None:
        """Give the snapshot of exactly this version, if it is kept."""
        with self._guard:
            found = self._kept.get(tenant_id)
            if found is None or found[0] != version:
                return None
            self._kept.move_to_end(tenant_id)
            return found[1]

    def put(self, tenant_id: UUID, version: Version, snapshot: Snapshot) -> None:
        """Keep a snapshot, unless a newer one is there."""
        with self._guard:
            found = self._kept.get(tenant_id)
            if found is not None and found[0] > version:
                return
            self._kept[tenant_id] = (version, snapshot)
            self._kept.move_to_end(tenant_id)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)


cache: Final = SnapshotCache()


def snapshot_of(principal: Principal, tenant_id: UUID) -> Snapshot:
    """Give the tenant's snapshot for a request; load it on the first use of its version.

    The gate told the versions of the tenant that the principal acts for; another tenant's snapshot
    is loaded afresh. A load may see a newer state than its version says: then it is right early.
    """
    if principal.tenant_id != tenant_id:
        return load(tenant_id)
    version = (principal.versions["config"], principal.versions["entitlement"])
    found = cache.get(tenant_id, version)
    if found is None:
        # Entering the tenant costs round trips, so only a load does.
        with tenancy.tenant_context(tenant_id):
            found = load(tenant_id)
        cache.put(tenant_id, version, found)
    return found


def load(tenant_id: UUID, at: datetime | None = None) -> Snapshot:
    """Read everything that decides the tenant's entitlements, now or under its plan of ``at``."""
    found = db.rows(_STANDING, [tenant_id])
    if not found:
        raise missing()
    slug, zone, version_id, overridden, entitled = found[0]
    features = feature_facts()
    if at is not None:
        version_id = version_id_at(tenant_id, at)
    plan = content_of(version_id) if version_id else None
    return Snapshot(
        tenant_id=tenant_id,
        slug=slug,
        zone=ZoneInfo(zone),
        plan=plan,
        features=features,
        planned=planned_values(plan, features),
        overrides=_overrides(tenant_id, features) if overridden else {},
        own=_own(tenant_id, features, at) if entitled else {},
    )


def planned_values(
    plan: PlanContent | None, features: Mapping[str, FeatureFact]
) -> dict[str, Value]:
    """Give what a plan grants by feature key, its limits among them; nothing without a plan."""
    if plan is None:
        return {}
    planned = {key: value for key, value in plan.grants.items() if key in features}
    for feature in features.values():
        if feature.plan_limit:
            planned[feature.key] = plan.allowance_of(feature.plan_limit)
    return planned


def _overrides(
    tenant_id: UUID, features: dict[str, FeatureFact]
) -> dict[str, tuple[OverrideFact, ...]]:
    found: dict[str, tuple[OverrideFact, ...]] = {}
    for key, options, id_, mode, value, starts_at, expires_at in db.rows(_OVERRIDES, [tenant_id]):
        if key in features:
            typed = read(Kind(features[key].kind), json.loads(value), json.loads(options))
            fact = OverrideFact(id_, Mode(mode), typed, starts_at, expires_at)
            found[key] = (*found.get(key, ()), fact)
    return found


def _own(
    tenant_id: UUID, features: dict[str, FeatureFact], at: datetime | None
) -> dict[str, OwnFact]:
    """Read the tenant's own entitlements, those of now or those that were live at an instant."""
    then = "active_from <= $2 AND (deleted_at IS NULL OR deleted_at > $2)"
    live = "deleted_at IS NULL" if at is None else then
    values = [tenant_id] if at is None else [tenant_id, at]
    rows = ENTITLEMENTS.read(f"tenant_id = $1::uuid AND {live}", values)
    keys = {feature.id: key for key, feature in features.items()}
    return {keys[row.feature_id]: own_fact(row) for row in rows if row.feature_id in keys}


def own_fact(row: Entitlement) -> OwnFact:
    """Give what evaluation needs to know of an entitlement."""
    if row.type == EntitlementType.BOOLEAN:
        return OwnFact(row.id, True, row.active_from)
    if row.type == EntitlementType.STATIC:
        return OwnFact(row.id, static_value(row.config or {}), row.active_from)
    cadence = Cadence.parse(row.interval)
    return OwnFact(
        row.id,
        Allowance(row.issue or Decimal(0), cadence.interval, row.soft),
        row.active_from,
        cadence,
        row.anchor,
        row.measure_from,
        row.issue_priority,
        row.issue is not None,
        row.preserve_overage,
    )


def static_value(config: dict[str, Any]) -> Value:
    """Give the value that a static entitlement's config says: its one member ``value``, or all."""
    value = config.get("value")
    if set(config) == {"value"} and isinstance(value, str | int) and not isinstance(value, bool):
        return value
    return config
