"""Reads of subscriptions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import models

from billing.subscriptions.models import Subscription
from kernel.tenancy.direct import Direct

ROWS: Final = Direct(Subscription)
"""Subscriptions by prepared statements, for changes and reads of every request."""


def current_subscription(tenant_id: UUID) -> Subscription | None:
    """Find the tenant's running subscription; None without one."""
    found = ROWS.read("tenant_id = $1::uuid AND ends_at IS NULL", [tenant_id])
    return found[0] if found else None


def current_version_ids(tenant_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Find the plan versions that many tenants have now; tenants without one are absent."""
    found = ROWS.read("tenant_id = ANY ($1::uuid[]) AND ends_at IS NULL", [list(tenant_ids)])
    return {one.tenant_id: one.version_id for one in found}


def version_id_at(tenant_id: UUID, at: datetime) -> UUID | None:
    """Find the plan version that the tenant had at an instant; None without one."""
    running = models.Q(ends_at=None) | models.Q(ends_at__gt=at)
    return (
        Subscription.objects.filter(running, tenant_id=tenant_id, starts_at__lte=at)
        .values_list("version_id", flat=True)
        .first()
    )


def history(tenant_id: UUID) -> models.QuerySet[Subscription]:
    """Give all subscriptions of the tenant with their plan versions, newest first."""
    return (
        Subscription.objects.filter(tenant_id=tenant_id)
        .select_related("version__plan")
        .order_by("-starts_at")
    )


def plan_keys(tenant_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Name the plans of many tenants in one query; tenants without one are absent."""
    rows = Subscription.objects.filter(tenant_id__in=tenant_ids, ends_at=None)
    return dict(rows.values_list("tenant_id", "version__plan__key"))
