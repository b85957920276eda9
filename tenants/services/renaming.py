"""Giving a tenant another name."""

from uuid import UUID

from audit.services import audited, record
from kernel.errors import FieldError, Invalid
from kernel.events import emit
from tenants import queries
from tenants.actions import TENANT_RENAMED
from tenants.events import TenantRenamed
from tenants.models import MAX_NAME, Tenant


def rename(tenant_id: UUID, name: str) -> Tenant:
    """Give a tenant another name; its slug stays. As staff, across tenants.

    Raises:
        kernel.errors.NotFound: no such tenant.
        kernel.errors.Invalid: the name is empty or too long.
    """
    title = name.strip()
    if not 1 <= len(title) <= MAX_NAME:
        message = f"A name has 1 to {MAX_NAME} characters."
        raise Invalid(message, errors=[FieldError("/name", "invalid_name", message)])
    with audited():
        tenant = queries.by_id(tenant_id, lock=True)
        was, tenant.name = tenant.name, title
        if was == title:
            return tenant
        tenant.save(update_fields=["name", "updated_at"])
        record(
            action=TENANT_RENAMED.name,
            target_type="tenant",
            target_id=tenant.public_id,
            before={"name": was},
            after={"name": title},
            tenant_id=tenant.id,
        )
        emit(TenantRenamed(tenant_id=tenant.id, slug=tenant.slug, title=title, was=was))
    return tenant
