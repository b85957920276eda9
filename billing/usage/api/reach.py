"""Whose data a request reaches: its tenant's, or, for the operator without one, all tenants'."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from billing.usage.models import OPERATOR
from kernel import db
from kernel.authz import current_principal
from kernel.tenancy import across_tenants, tenant_context, tenant_or_none


@contextmanager
def reach() -> Iterator[None]:
    """Work as the tenant of the request, or as staff across all where the operator named none."""
    tenant_id = current_principal().tenant_id
    if tenant_id is None:
        with db.use_alias("staff"), across_tenants():
            yield
    elif tenant_or_none() == tenant_id:
        yield
    else:
        with tenant_context(tenant_id):
            yield


def scope() -> UUID:
    """Give the scope in which the request defines things: its tenant, or the operator."""
    return tenant_or_none() or OPERATOR
