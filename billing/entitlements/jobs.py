"""Work that keeps quotas going: no decision waits for it."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.utils import timezone

from billing.entitlements.models import Override
from billing.entitlements.services import project
from billing.subscriptions.models import Subscription
from billing.subscriptions.services.serial import serialise
from kernel import db
from kernel.events.registry import Delivery
from kernel.gate import alarms, quota
from kernel.jobs import enqueue, job

AHEAD: Final = timedelta(days=7)
"""How long before its last window ends a tenant gets the next ones."""
KEPT: Final = timedelta(days=400)
"""How long windows are kept after their end. The meters know what was used, for ever."""


@job("entitlements.project_tenant")
def project_tenant(tenant_id: str) -> None:
    """Tell the gate anew what one tenant is entitled to, and open its next quota windows."""
    with db.atomic():
        serialise(UUID(tenant_id))
        project(UUID(tenant_id))


@job("entitlements.keep_windows", cron="17 2 * * *")
def keep_windows() -> None:
    """Open windows where they run out, one job a tenant, and forget those that ended long ago."""
    now = timezone.now()
    with db.atomic():
        for tenant_id in quota.tenants_running_out(now + AHEAD):
            enqueue(project_tenant, tenant_id=str(tenant_id))
        quota.forget(now - KEPT)


@job("entitlements.apply_due", cron="* * * * *")
def apply_due() -> None:
    """Bring planned changes into force where nobody asks, so that thresholds move with limits."""
    with db.atomic():
        alarms.apply_due()


def on_feature_archived(delivery: Delivery) -> None:
    """Project every tenant anew that has the feature by plan or override, one job a tenant."""
    key = delivery.payload["feature"]
    planned = Subscription.objects.filter(ends_at=None, version__features__feature__key=key)
    own = Override.objects.filter(revoked_at=None, feature__key=key)
    tenants = set(planned.values_list("tenant_id", flat=True))
    tenants |= set(own.values_list("tenant_id", flat=True))
    for tenant_id in sorted(tenants):
        enqueue(project_tenant, tenant_id=str(tenant_id))
