"""Which entitlements a tenant holds: of its own, and those that its plan and overrides give it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing.catalog.models.values import Allowance
from billing.catalog.queries import FeatureFact
from billing.entitlements.models import Entitlement, EntitlementType, plan_stream
from billing.entitlements.models.effective import Effective, Snapshot
from billing.entitlements.models.entitlements import ENTITLEMENT_PREFIX
from kernel.errors import NotFound
from kernel.ids import InvalidIdError, decode


@dataclass(frozen=True, slots=True)
class Held:
    """One entitlement of a tenant. ``own`` tells whether it is a row, else the plan's."""

    id: UUID
    tenant_id: UUID
    effective: Effective
    own: bool

    @property
    def feature(self) -> FeatureFact:
        """Give the feature."""
        return self.effective.feature

    @property
    def type(self) -> EntitlementType:
        """Give OpenMeter's type of it."""
        value = self.effective.value
        if isinstance(value, Allowance):
            return EntitlementType.METERED
        return EntitlementType.BOOLEAN if value is True else EntitlementType.STATIC


def held(snapshot: Snapshot, at: datetime) -> Iterator[Held]:
    """Go through what the tenant holds, by feature key."""
    for effective in snapshot.all(at):
        own = snapshot.own.get(effective.feature.key)
        if own is not None:
            yield Held(own.id, snapshot.tenant_id, effective, True)
        elif effective.granted:
            id_ = plan_stream(snapshot.tenant_id, effective.feature.id)
            yield Held(id_, snapshot.tenant_id, effective, False)


def find(snapshot: Snapshot, id_or_key: str, at: datetime) -> Held:
    """Find an entitlement by its id (``ent_…``) or the key or id of its feature.

    Raises:
        kernel.errors.NotFound: the tenant holds none such.
    """
    found = seek(snapshot, id_or_key, at)
    if found is None:
        raise NotFound("There is no such entitlement.", code="entitlement_not_found")
    return found


def seek(snapshot: Snapshot, id_or_key: str, at: datetime) -> Held | None:
    """Find an entitlement as :func:`find` does; None where there is none."""
    try:
        wanted = decode(ENTITLEMENT_PREFIX, id_or_key)
    except InvalidIdError:
        wanted = None
    for one in held(snapshot, at):
        if one.id == wanted if wanted is not None else one.feature.key == id_or_key:
            return one
    return None


def feature_named(snapshot: Snapshot, id_or_key: str) -> str:
    """Name the feature that :func:`find` would look at, at any instant.

    Raises:
        kernel.errors.NotFound: the id is none of the tenant's.
    """
    try:
        wanted = decode(ENTITLEMENT_PREFIX, id_or_key)
    except InvalidIdError:
        return id_or_key
    for key, fact in snapshot.features.items():
        own = snapshot.own.get(key)
        if wanted == (own.id if own else plan_stream(snapshot.tenant_id, fact.id)):
            return key
    raise NotFound("There is no such entitlement.", code="entitlement_not_found")


def rows(tenant_id: UUID, *, deleted: bool = False) -> list[Entitlement]:
    """Read the rows of a tenant's own entitlements, oldest first; deleted ones only if asked."""
    found = Entitlement.objects.filter(tenant_id=tenant_id).select_related("feature")
    return list((found if deleted else found.filter(deleted_at=None)).order_by("id"))
