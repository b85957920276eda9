"""Tenancy: the tenant of the running context, the ORM fence, row-level security.

Two layers, each sufficient alone: the ORM adds the tenant to every query and raises without one;
PostgreSQL's FORCE ROW LEVEL SECURITY shows the app role no row of any other tenant, and none at
all where no tenant is set. Design: docs/adr/0080.
"""

from kernel.tenancy.context import (
    TenantRequiredError,
    across_tenants,
    adopted,
    current_tenant,
    tenant_context,
    tenant_or_none,
)

__all__ = [
    "TenantRequiredError",
    "across_tenants",
    "adopted",
    "current_tenant",
    "tenant_context",
    "tenant_or_none",
]
