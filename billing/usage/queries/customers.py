"""Tenants as OpenMeter's customers: found by id (ten_…) or by key (the slug)."""

from uuid import UUID

from kernel import db, ids
from kernel.errors import NotFound
from kernel.tenancy import tenant_or_none


def public_id(tenant_id: UUID) -> str:
    """Show a tenant's id."""
    return ids.encode(ids.TENANT, tenant_id)


def find(id_or_key: str) -> UUID:
    """Find a customer that the context may see: a tenant finds itself only.

    Raises:
        kernel.errors.NotFound: no such customer, or another tenant.
    """
    tenant_id = ids.read(ids.TENANT, id_or_key)
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM tenants_tenant WHERE (id = %s OR slug = %s) AND id = coalesce(%s, id)",
            [tenant_id, id_or_key, tenant_or_none()],
        )
        row = cursor.fetchone()
    if row is None:
        raise NotFound("There is no such customer.", code="customer_not_found")
    found: UUID = row[0]
    return found
