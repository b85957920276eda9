"""What tenants writes into the audit log."""

from typing import Final

from audit.registry import Action, Severity

TENANT_CREATED: Final = Action(
    "tenant.created", Severity.NOTICE, "{actor} created {tenant}", help="A tenant was created."
)
TENANT_RENAMED: Final = Action(
    "tenant.renamed", Severity.INFO, "{actor} renamed {tenant}", help="A tenant has another name."
)
TENANT_SUSPENDED: Final = Action(
    "tenant.suspended",
    Severity.WARNING,
    "{actor} suspended {tenant}",
    help="The tenant's keys are refused from now on.",
)
TENANT_RESTORED: Final = Action(
    "tenant.restored",
    Severity.NOTICE,
    "{actor} restored {tenant}",
    help="A suspended or closed tenant is active again.",
)
TENANT_CLOSED: Final = Action(
    "tenant.closed",
    Severity.CRITICAL,
    "{actor} closed {tenant}",
    help="To its keys the tenant is gone; it can be restored until it is purged.",
)

ALL: Final = (TENANT_CREATED, TENANT_RENAMED, TENANT_SUSPENDED, TENANT_RESTORED, TENANT_CLOSED)
