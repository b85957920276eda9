"""Everything that changes a tenant: one verb, one transaction, one audit entry, one event."""

from tenants.services.creating import NewTenant, create
from tenants.services.lifecycle import close, restore, suspend
from tenants.services.renaming import rename

__all__ = ["NewTenant", "close", "create", "rename", "restore", "suspend"]
