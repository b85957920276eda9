"""Reads of subscriptions."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import models

from billing.subscriptions.models import Subscription


def current_subscription(tenant_id: UUID) -> Subscription | None:
    """Find the tenant's running subscription, with its plan version; None without one."""
    return (
        Subscription.objects.filter(tenant_id=tenant_id, ends_at=None)
        .select_related("version__plan")
        .first()
    )


def current_version_id(tenant_id: UUID) -> UUID | None:
    """Find the plan version that the tenant has now; None without one."""
    return (
        Subscription.objects.filter(tenant_id=tenant_id, ends_at=None)
        .values_list("version_id", flat=True)
        .first()
    )


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
