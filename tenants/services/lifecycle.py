"""Suspending, restoring and closing a tenant. All of them run across tenants (alias staff)."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.utils import timezone

from audit.registry import Action
from audit.services import audited, record
from kernel.errors import Conflict
from kernel.events import DomainEvent, emit
from kernel.gate import projection
from tenants import queries
from tenants.actions import TENANT_CLOSED, TENANT_RESTORED, TENANT_SUSPENDED
from tenants.events import TenantClosed, TenantRestored, TenantSuspended
from tenants.models import Status, Tenant


@dataclass(frozen=True, slots=True)
class _Step:
    """A change of status: where it leads, whence it may come, what tells of it."""

    to: Status
    allowed: frozenset[Status]
    action: Action
    event: Callable[[Tenant, str], DomainEvent]


_SUSPEND = _Step(
    Status.SUSPENDED,
    frozenset({Status.ACTIVE}),
    TENANT_SUSPENDED,
    lambda tenant, _: TenantSuspended(tenant_id=tenant.id, slug=tenant.slug),
)
_RESTORE = _Step(
    Status.ACTIVE,
    frozenset({Status.SUSPENDED, Status.CLOSED}),
    TENANT_RESTORED,
    lambda tenant, was: TenantRestored(tenant_id=tenant.id, slug=tenant.slug, was=was),
)
_CLOSE = _Step(
    Status.CLOSED,
    frozenset({Status.ACTIVE, Status.SUSPENDED}),
    TENANT_CLOSED,
    lambda tenant, _: TenantClosed(tenant_id=tenant.id, slug=tenant.slug),
)


def suspend(tenant_id: UUID, *, reason: str = "") -> Tenant:
    """Suspend an active tenant: the gate refuses its keys from the next request on.

    A tenant that is suspended already stays so, and nothing is recorded.

    Raises:
        kernel.errors.NotFound: no such tenant.
        kernel.errors.Conflict: it is closed (code ``tenant_closed``).
    """
    return _take(_SUSPEND, tenant_id, reason)


def restore(tenant_id: UUID, *, reason: str = "") -> Tenant:
    """Make a suspended or closed tenant active again; an active one stays so, unrecorded.

    Raises:
        kernel.errors.NotFound: no such tenant.
    """
    return _take(_RESTORE, tenant_id, reason)


def close(tenant_id: UUID, *, reason: str = "") -> Tenant:
    """Close a tenant: to its keys it is gone (404); a closed one stays so, unrecorded.

    Raises:
        kernel.errors.NotFound: no such tenant.
    """
    return _take(_CLOSE, tenant_id, reason)


def _take(step: _Step, tenant_id: UUID, reason: str) -> Tenant:
    with audited():
        tenant = queries.by_id(tenant_id, lock=True)
        was = Status(tenant.status)
        if was is step.to:
            return tenant
        if was not in step.allowed:
            raise Conflict(
                f"The tenant is {was.value}.",
                code=f"tenant_{was.value}",
                extensions={"status": was.value},
            )
        tenant.move(step.to, timezone.now())
        tenant.save(update_fields=["status", "suspended_at", "closed_at", "updated_at"])
        projection.put_tenant(tenant.id, step.to)
        record(
            action=step.action.name,
            target_type="tenant",
            target_id=tenant.public_id,
            before={"status": was.value},
            after={"status": step.to.value},
            tenant_id=tenant.id,
            reason=reason,
        )
        emit(step.event(tenant, was.value))
    return tenant
