"""Grants: amounts that a tenant may use of a metered entitlement, for a time."""

from django.db import models

from billing.catalog.models import Feature
from kernel.tenancy.models import TenantOwned

GRANT_PREFIX = "grt"


class ExpiryUnit(models.TextChoices):
    """Units of an expiry, as OpenMeter names them."""

    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"
    YEAR = "YEAR"


class Grant(TenantOwned):
    """An amount that may be used during [effective_at, expires_at), until it is voided.

    ``stream`` is the entitlement (a row's id, or that of the plan's). Grants burn by priority, the
    lower number first, then by expiry, then in the order of creation. After a reset the balance is
    min(max_rollover, max(min_rollover, balance)); at each recurrence it is the amount again.
    Amounts never change: a grant is voided, and another made.
    """

    feature = models.ForeignKey(Feature, on_delete=models.PROTECT, related_name="+")
    stream = models.UUIDField()
    amount = models.DecimalField(max_digits=38, decimal_places=12)
    priority = models.PositiveSmallIntegerField()
    effective_at = models.DateTimeField()
    expiry_unit = models.TextField(choices=ExpiryUnit.choices, blank=True, default="")
    expiry_count = models.PositiveIntegerField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    min_rollover = models.DecimalField(max_digits=38, decimal_places=12, default=0)
    max_rollover = models.DecimalField(max_digits=38, decimal_places=12, default=0)
    interval = models.TextField(blank=True, default="")
    anchor = models.DateTimeField(null=True, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    annotations = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    voided_at = models.DateTimeField(null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "billing_grant"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "id"], name="billing_grant_tenant"),
            models.CheckConstraint(
                name="billing_grant_amounts",
                condition=models.Q(amount__gt=0, min_rollover__gte=0, max_rollover__gte=0),
            ),
            models.CheckConstraint(
                name="billing_grant_times",
                condition=models.Q(expires_at=None)
                | models.Q(expires_at__gt=models.F("effective_at")),
            ),
            models.CheckConstraint(
                name="billing_grant_expiry",
                condition=models.Q(expiry_unit="", expiry_count=None, expires_at=None)
                | models.Q(expiry_unit__in=ExpiryUnit.values, expiry_count__gt=0)
                & models.Q(expires_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["tenant_id", "stream"], name="billing_grant_stream"),
        ]

    def __str__(self) -> str:
        return f"{self.amount:f} of {self.feature} from {self.effective_at:%Y-%m-%d}"
