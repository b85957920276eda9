"""Plans and their versions: the tables behind :mod:`billing.catalog.queries.plans`."""

from django.db import models

from billing.catalog.models.features import KEY_PATTERN, Feature
from kernel.ids import new_id

PLAN_PREFIX = "pln"
PLAN_VERSION_PREFIX = "plv"


class Plan(models.Model):
    """What tenants buy, by its key. Its content lies in its versions."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.TextField(unique=True)
    name = models.TextField()
    description = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "billing_plan"
        ordering = ["key"]
        constraints = [
            models.CheckConstraint(
                name="billing_plan_key", condition=models.Q(key__regex=KEY_PATTERN)
            ),
        ]

    def __str__(self) -> str:
        return self.key


class PlanVersion(models.Model):
    """One state of a plan: limits, price and granted features.

    A draft may be edited. Publishing sets ``published_at``, once; from then on a trigger refuses
    every change of the row and of its features. Null daily limits mean unlimited; the burst is
    ``rate`` requests a second with room for ``depth`` at once, null meaning no burst limit.
    Prices are minor units of the currency for one calendar month.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    daily_requests = models.BigIntegerField(null=True, blank=True)
    daily_webhooks = models.BigIntegerField(null=True, blank=True)
    burst_rate = models.PositiveIntegerField(null=True, blank=True)
    burst_depth = models.PositiveIntegerField(null=True, blank=True)
    monthly_price = models.BigIntegerField(default=0)
    currency = models.CharField(max_length=3, default="USD")
    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "billing_plan_version"
        ordering = ["plan", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["plan", "number"], name="billing_plan_version_number"),
            models.CheckConstraint(
                name="billing_plan_version_limits",
                condition=(models.Q(daily_requests=None) | models.Q(daily_requests__gte=0))
                & (models.Q(daily_webhooks=None) | models.Q(daily_webhooks__gte=0)),
            ),
            models.CheckConstraint(
                name="billing_plan_version_burst",
                condition=models.Q(burst_rate=None, burst_depth=None)
                | models.Q(burst_rate__gte=1, burst_depth__gte=1),
            ),
            models.CheckConstraint(
                name="billing_plan_version_price",
                condition=models.Q(monthly_price__gte=0, currency__regex="^[A-Z]{3}$"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan.key} v{self.number}"


class PlanFeature(models.Model):
    """What one plan version grants of one feature. ``value`` is the stored form of values.py."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    version = models.ForeignKey(PlanVersion, on_delete=models.CASCADE, related_name="features")
    feature = models.ForeignKey(Feature, on_delete=models.PROTECT, related_name="+")
    value = models.JSONField()

    class Meta:
        db_table = "billing_plan_feature"
        constraints = [
            models.UniqueConstraint(
                fields=["version", "feature"], name="billing_plan_feature_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version}: {self.feature}"


class RevenueTier(models.Model):
    """A class of tenants by yearly revenue in whole ``currency`` units, [lower, upper)."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.TextField(unique=True)
    name = models.TextField()
    lower = models.BigIntegerField(unique=True)
    upper = models.BigIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3, default="USD")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="revenue_tiers")

    class Meta:
        db_table = "billing_revenue_tier"
        ordering = ["lower"]
        constraints = [
            models.CheckConstraint(
                name="billing_revenue_tier_range",
                condition=models.Q(lower__gte=0)
                & (models.Q(upper=None) | models.Q(upper__gt=models.F("lower"))),
            ),
        ]

    def __str__(self) -> str:
        return self.key
