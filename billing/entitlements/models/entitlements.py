"""Entitlements of a tenant's own, beside its plan, and the resets of their usage periods."""

from uuid import UUID, uuid5

from django.db import models

from billing.catalog.models import Feature
from kernel.tenancy.models import TenantOwned

ENTITLEMENT_PREFIX = "ent"
DEFAULT_PRIORITY = 1


class EntitlementType(models.TextChoices):
    """OpenMeter's types of entitlements."""

    METERED = "metered"
    STATIC = "static"
    BOOLEAN = "boolean"


class Entitlement(TenantOwned):
    """What a tenant has of a feature whatever its plan says, until it is deleted.

    ``interval`` and ``anchor`` make the usage period: ISO 8601, counted from the anchor in the
    tenant's zone. ``issue`` is what each period grants by itself (None: only grants do), burnt at
    ``issue_priority``; use is counted from ``measure_from``. A static one holds ``config``.
    At most one of a tenant and feature is live: a partial unique index says so.
    """

    feature = models.ForeignKey(Feature, on_delete=models.PROTECT, related_name="+")
    type = models.TextField(choices=EntitlementType.choices)
    interval = models.TextField(blank=True, default="")
    anchor = models.DateTimeField(null=True, blank=True)
    measure_from = models.DateTimeField(null=True, blank=True)
    soft = models.BooleanField(default=False)
    issue = models.DecimalField(max_digits=38, decimal_places=12, null=True, blank=True)
    issue_priority = models.PositiveSmallIntegerField(default=DEFAULT_PRIORITY)
    preserve_overage = models.BooleanField(default=False)
    config = models.JSONField(null=True, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    active_from = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "billing_entitlement"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "id"], name="billing_entitlement_tenant"),
            models.UniqueConstraint(
                fields=["tenant_id", "feature"],
                condition=models.Q(deleted_at=None),
                name="billing_entitlement_live",
            ),
            models.CheckConstraint(
                name="billing_entitlement_type",
                condition=models.Q(type__in=EntitlementType.values),
            ),
            models.CheckConstraint(
                name="billing_entitlement_metered",
                condition=~models.Q(type=EntitlementType.METERED)
                | models.Q(anchor__isnull=False, measure_from__isnull=False)
                & ~models.Q(interval=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.feature}"


class EntitlementReset(TenantOwned):
    """A usage period that was ended early at ``at``, by hand.

    ``stream`` is the entitlement: a row's id, or :func:`plan_stream`. Without ``retain_anchor`` the
    periods that follow are counted from ``at``.
    """

    feature = models.ForeignKey(Feature, on_delete=models.PROTECT, related_name="+")
    stream = models.UUIDField()
    at = models.DateTimeField()
    retain_anchor = models.BooleanField(default=True)
    preserve_overage = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "billing_entitlement_reset"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "id"], name="billing_reset_tenant"),
            models.UniqueConstraint(
                fields=["tenant_id", "stream", "at"], name="billing_reset_instant"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.stream} at {self.at:%Y-%m-%dT%H:%M:%SZ}"


def plan_stream(tenant_id: UUID, feature_id: UUID) -> UUID:
    """Give the id of the entitlement that a tenant has of a feature through its plan.

    It stays the same whatever plan that is, so that grants outlive a change of plan.
    """
    return uuid5(tenant_id, str(feature_id))
