"""Taking an archived feature from the tenants that have it."""

from billing.entitlements.jobs import project_tenant
from billing.entitlements.models import Override
from billing.subscriptions.models import Subscription
from kernel.events.registry import Delivery
from kernel.jobs import enqueue


def on_feature_archived(delivery: Delivery) -> None:
    """Project every tenant anew that has the feature by plan or override, one job a tenant."""
    key = delivery.payload["feature"]
    planned = Subscription.objects.filter(ends_at=None, version__features__feature__key=key)
    own = Override.objects.filter(revoked_at=None, feature__key=key)
    tenants = set(planned.values_list("tenant_id", flat=True))
    tenants |= set(own.values_list("tenant_id", flat=True))
    for tenant_id in sorted(tenants):
        enqueue(project_tenant, tenant_id=str(tenant_id))
