"""Subscriptions: the plan version of a tenant over time."""

from django.db import models

from billing.catalog.models import PlanVersion
from kernel.tenancy.models import TenantOwned

SUBSCRIPTION_PREFIX = "sub"


class Subscription(TenantOwned):
    """One plan version held during [starts_at, ends_at); without an end, the current one.

    A tenant has at most one current subscription; the times of its subscriptions never overlap: an
    exclusion constraint of the table (migration 0002) says so.
    Rows are closed, never changed or deleted: they are the history that invoices are rated by.
    """

    version = models.ForeignKey(PlanVersion, on_delete=models.PROTECT, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "billing_subscription"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "id"], name="billing_subscription_tenant"),
            models.UniqueConstraint(
                fields=["tenant_id"],
                condition=models.Q(ends_at=None),
                name="billing_subscription_current",
            ),
            models.CheckConstraint(
                name="billing_subscription_times",
                condition=models.Q(ends_at=None) | models.Q(ends_at__gt=models.F("starts_at")),
            ),
        ]
        indexes = [
            models.Index(fields=["tenant_id", "starts_at"], name="billing_subscription_history"),
        ]

    def __str__(self) -> str:
        return f"{self.version} from {self.starts_at:%Y-%m-%d}"
