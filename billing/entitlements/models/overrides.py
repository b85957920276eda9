"""Overrides: what one tenant has beside its plan, for a time."""

from django.db import models
from django.utils import timezone

from billing.catalog.models import Feature
from kernel.tenancy.models import TenantOwned

OVERRIDE_PREFIX = "ovr"


class Mode(models.TextChoices):
    """How an override meets the plan's value."""

    SET = "set", "replaces the plan's value"
    ADD = "add", "is added to the plan's value, and so grows with upgrades"


class Override(TenantOwned):
    """A tenant's own value of a feature during [starts_at, expires_at), unless paused or revoked.

    Start and expiry act at read time; no job flips anything. At most one override of a tenant and
    feature is in force at any instant: an exclusion constraint of the table (migration 0002) says
    so, which counts every row that is not revoked.
    """

    feature = models.ForeignKey(Feature, on_delete=models.PROTECT, related_name="+")
    mode = models.TextField(choices=Mode.choices, default=Mode.SET)
    value = models.JSONField()
    starts_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    paused = models.BooleanField(default=False)
    reason = models.TextField()
    ticket = models.TextField(blank=True, default="")
    created_by = models.TextField(editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "billing_override"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "id"], name="billing_override_tenant"),
            models.CheckConstraint(
                name="billing_override_times",
                condition=models.Q(expires_at=None)
                | models.Q(expires_at__gt=models.F("starts_at")),
            ),
            models.CheckConstraint(
                name="billing_override_mode", condition=models.Q(mode__in=Mode.values)
            ),
        ]
        indexes = [
            models.Index(fields=["tenant_id", "feature"], name="billing_override_feature"),
        ]

    def __str__(self) -> str:
        return f"{self.feature}: {self.mode} {self.value}"
