"""The lean way in for routes that name a customer in their path.

A tenant key reaches its own tenant, by id or key; whatever else it names is not found, existing or
not. A platform key reaches the customer that the path names: the gate is told that tenant, so that
one round trip answers with its versions.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from billing.entitlements.models.effective import Snapshot
from billing.entitlements.queries.snapshots import snapshot_of
from billing.usage.queries.customers import public_id
from kernel import ids
from kernel.errors import NotFound, PreconditionFailed
from kernel.gate.keys import PLATFORM
from kernel.gate.wire import HotConnection, Statement, hot_staff
from kernel.http.admittance import bearer
from kernel.http.hot import HotEndpoint, HotRequest

TENANT_HEADER: Final = "HTTP_INNKEEPER_TENANT"
"""Where a platform key names the tenant that it acts for; :func:`admit` fills it in."""
_BY_KEY: Final = Statement(
    "billing_customer_by_key",
    "SELECT coalesce((SELECT id::text FROM tenants_tenant WHERE slug = $1), '')",
    parameters=1,
)
_CLOSED: Final = Statement(
    "billing_customer_closed",
    "SELECT EXISTS (SELECT FROM tenants_tenant WHERE id = $1::uuid AND status = 'closed')",
    parameters=1,
)
_MOST_KEYS: Final = 10_000
_keys: Final[dict[str, UUID]] = {}
_MISSING: Final = "There is no such customer."


@dataclass(frozen=True, slots=True)
class Visit:
    """An admitted request about a customer: its snapshot, and the connection to read on."""

    tenant_id: UUID
    snapshot: Snapshot
    connection: HotConnection


def admit(endpoint: type[HotEndpoint], request: HotRequest, id_or_key: str) -> Visit:
    """Let the gate admit the request for the customer that its path names.

    Raises:
        kernel.errors.NotFound: no such customer, or none that the caller may know of.
        kernel.errors.PreconditionFailed: the customer is deleted (platform keys only).
        kernel.errors.DomainError: the gate refuses the caller.
    """
    by_operator = bearer(request).startswith(PLATFORM)
    named = _tenant_of(id_or_key) if by_operator else None
    if named is not None:
        request.META.setdefault(TENANT_HEADER, public_id(named))
    try:
        principal, connection = endpoint.admit(request)
    except NotFound as refused:
        if named is not None and hot_staff().row(_CLOSED, [str(named).encode()])[0] == b"t":
            raise PreconditionFailed(
                "The customer is deleted.", code="customer_deleted"
            ) from refused
        raise NotFound(_MISSING, code="customer_not_found") from refused
    tenant_id = principal.tenant_id
    if tenant_id is None or (by_operator and tenant_id != named):
        raise NotFound(_MISSING, code="customer_not_found")
    snapshot = snapshot_of(principal, tenant_id)
    if not by_operator and id_or_key not in (snapshot.slug, public_id(tenant_id)):
        raise NotFound(_MISSING, code="customer_not_found")
    return Visit(tenant_id, snapshot, connection)


def _tenant_of(id_or_key: str) -> UUID | None:
    """Find the tenant that a platform key's path names; None where there is none of that key."""
    named = ids.read(ids.TENANT, id_or_key)
    if named is not None:
        return named
    return _tenant_by_key(id_or_key)


def _tenant_by_key(key: str) -> UUID | None:
    """Find a tenant by its key, which it has for good: what was found once is not asked again."""
    known = _keys.get(key)
    if known is None:
        found = hot_staff().row(_BY_KEY, [key.encode()])[0]
        if not found:
            return None
        known = UUID(found.decode())
        if len(_keys) >= _MOST_KEYS:
            _keys.clear()
        _keys[key] = known
    return known
