"""Features: what a plan can grant."""

from django.db import models

from billing.catalog.models.values import Kind
from kernel.ids import new_id

KEY_PATTERN = r"^[a-z0-9]+(?:_[a-z0-9]+)*$"
FEATURE_PREFIX = "ftr"
KEY_LENGTH = 64
"""The longest key, in characters."""
FEATURE_PREFIX = "ftr"


class PlanLimit(models.TextChoices):
    """Limits of a plan version that are the allowance of a metered feature, in UTC days."""

    DAILY_REQUESTS = "daily_requests"
    DAILY_WEBHOOKS = "daily_webhooks"


class Feature(models.Model):
    """Something a plan can grant, by its key. Operator-wide: one catalogue for all tenants.

    ``options`` narrow the value (``values`` of an enum, ``minimum`` and ``maximum`` of a number).
    ``meter`` is the slug of the operator's meter, SUM or COUNT, that a metered feature counts;
    ``plan_limit`` names the limit of the plan that is its allowance, where it is one. The gate
    itself counts the one of daily requests. ``group_filters`` say which of the meter's groups count
    (operators by group-by key, as in advanced filters). An archived feature is granted to nobody.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.TextField(unique=True)
    name = models.TextField()
    description = models.TextField(blank=True, default="")
    kind = models.TextField(choices=[(kind.value, kind.value) for kind in Kind])
    meter = models.TextField(blank=True, default="")
    plan_limit = models.TextField(blank=True, default="", choices=PlanLimit.choices)
    unit = models.TextField(blank=True, default="")
    options = models.JSONField(default=dict, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    group_filters = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "billing_feature"
        ordering = ["key"]
        constraints = [
            models.CheckConstraint(
                name="billing_feature_key", condition=models.Q(key__regex=KEY_PATTERN)
            ),
            models.CheckConstraint(
                name="billing_feature_kind",
                condition=models.Q(kind__in=[kind.value for kind in Kind]),
            ),
            models.CheckConstraint(
                name="billing_feature_meter",
                condition=models.Q(kind=Kind.METERED.value) & ~models.Q(meter="")
                | ~models.Q(kind=Kind.METERED.value) & models.Q(meter="", plan_limit=""),
            ),
            models.UniqueConstraint(
                name="billing_feature_plan_limit",
                fields=["plan_limit"],
                condition=~models.Q(plan_limit=""),
            ),
        ]

    def __str__(self) -> str:
        return self.key
