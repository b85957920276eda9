"""What may be done with tenants. ``tenant:…`` is a tenant's own, ``tenants:…`` the operator's."""

from typing import Final

from kernel.authz import Permission

TENANT_READ: Final = Permission("tenant:read", "See the tenant", "Its name, status and plan.")
TENANTS_READ: Final = Permission("tenants:read", "See all tenants", "The operator's.")
TENANTS_CREATE: Final = Permission("tenants:create", "Create tenants", "The operator's.")
TENANTS_SUSPEND: Final = Permission(
    "tenants:suspend", "Suspend tenants", "The operator's: their keys are refused at once."
)
TENANTS_RESTORE: Final = Permission(
    "tenants:restore",
    "Restore tenants",
    "The operator's: active again.",
)
TENANTS_CLOSE: Final = Permission(
    "tenants:close", "Close tenants", "The operator's: to its keys the tenant is gone."
)

ALL: Final = (
    TENANT_READ,
    TENANTS_READ,
    TENANTS_CREATE,
    TENANTS_SUSPEND,
    TENANTS_RESTORE,
    TENANTS_CLOSE,
)
