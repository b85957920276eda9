"""Features: what a plan can grant."""

from django.db import models

from billing.catalog.models.values import Kind
from kernel.ids import new_id

KEY_PATTERN = r"^[a-z0-9]+(?:_[a-z0-9]+)*$"
KEY_LENGTH = 64
"""The longest key, in characters."""
FEATURE_PREFIX = "ftr"


class Counter(models.TextChoices):
    """Limits that the gate itself counts: a metered feature may be one of them."""

    DAILY_REQUESTS = "daily_requests"
    DAILY_WEBHOOKS = "daily_webhooks"


class Feature(models.Model):
    """Something a plan can grant, by its key. Operator-wide: one catalogue for all tenants.

    ``options`` narrow the value (``values`` of an enum, ``minimum`` and ``maximum`` of a number).
    ``meter`` is the slug of the meter that a metered feature counts; ``counter`` names the gate's
    own counter where the gate counts it. An archived feature is granted to nobody.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.TextField(unique=True)
    name = models.TextField()
    description = models.TextField(blank=True, default="")
    kind = models.TextField(choices=[(kind.value, kind.value) for kind in Kind])
    meter = models.TextField(blank=True, default="")
    counter = models.TextField(blank=True, default="", choices=Counter.choices)
    unit = models.TextField(blank=True, default="")
    options = models.JSONField(default=dict, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
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
                condition=models.Q(kind=Kind.METERED) | models.Q(meter="", counter=""),
            ),
            models.UniqueConstraint(
                name="billing_feature_counter",
                fields=["counter"],
                condition=~models.Q(counter=""),
            ),
        ]

    def __str__(self) -> str:
        return self.key
