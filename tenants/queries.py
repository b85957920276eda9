"""Reading tenants."""

from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from kernel.errors import Invalid, NotFound
from kernel.tenancy import current_tenant
from kernel.tenancy.direct import Direct
from tenants.models import Status, Tenant

_MISSING: Final = "There is no such tenant."
ROWS: Final = Direct(Tenant, "id")
"""Tenants by prepared statements, for changes and reads of every request."""


def own() -> Tenant:
    """Give the tenant of the context.

    Raises:
        kernel.errors.NotFound: its row is gone.
        kernel.tenancy.TenantRequiredError: no tenant is set.
    """
    return by_id(current_tenant())


def missing() -> NotFound:
    """Make the error of a tenant that is not there, or that the context may not see."""
    return NotFound(_MISSING, code="tenant_not_found")


def by_id(tenant_id: UUID, *, lock: bool = False) -> Tenant:
    """Give one tenant; ``lock`` holds its row until the transaction ends.

    Raises:
        kernel.errors.NotFound: no such tenant, or none that the context may see.
    """
    found = ROWS.read("id = $1::uuid", [tenant_id], "FOR UPDATE" if lock else "")
    if not found:
        raise missing()
    return found[0]


def listed(*, status: str | None = None, slug: str | None = None) -> QuerySet[Tenant]:
    """Select tenants by status and slug, for the operator's list.

    Raises:
        kernel.errors.Invalid: no such status.
    """
    rows = Tenant.objects.all()
    if status:
        if status not in Status.values:
            raise Invalid(f"status is one of {', '.join(Status.values)}.", pointer="/query/status")
        rows = rows.filter(status=status)
    return rows.filter(slug=slug) if slug else rows
