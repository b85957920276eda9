"""Meters: what is counted, and how."""

from typing import Final, Self
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models

from kernel.ids import new_id
from kernel.tenancy import context

OPERATOR: Final = UUID(int=0)
"""The scope of what belongs to the operator: visible to every tenant, changed by none."""
SLUG_PATTERN: Final = r"^[a-z0-9]+(?:_[a-z0-9]+)*$"


class Aggregation(models.TextChoices):
    """How the values of a window become one."""

    SUM = "SUM"
    COUNT = "COUNT"
    UNIQUE_COUNT = "UNIQUE_COUNT"
    AVG = "AVG"
    MIN = "MIN"
    MAX = "MAX"
    LATEST = "LATEST"
    MEDIAN = "MEDIAN"
    P50 = "P50"
    P90 = "P90"
    P95 = "P95"
    P99 = "P99"
    WEIGHTED_SUM = "WEIGHTED_SUM"


PERCENTILES: Final = {
    Aggregation.P50: "0.5",
    Aggregation.P90: "0.9",
    Aggregation.P95: "0.95",
    Aggregation.P99: "0.99",
}
"""The share of values that are not above the figure: the smallest value for which that holds."""
OF_SINGLE_EVENTS: Final = frozenset(
    {*PERCENTILES, Aggregation.MEDIAN, Aggregation.WEIGHTED_SUM},
)
"""Aggregations that no sum of parts gives: read from events, roll-ups only say where those are."""


class Origin(models.TextChoices):
    """Where a meter's figures come from: usage events, or the gate's own record of requests."""

    EVENTS = "events"
    GATE = "gate"


class MeterManager(models.Manager["Meter"]):
    """Meters that the context may see: the operator's, and those of its tenant."""

    def get_queryset(self) -> models.QuerySet["Meter"]:
        """Give the visible meters, deleted ones included.

        Raises:
            kernel.tenancy.TenantRequiredError: neither a tenant nor all tenants are set.
        """
        rows: models.QuerySet[Meter] = super().get_queryset()
        if isinstance(context.scope(), context.AllTenants):
            return rows
        return rows.filter(scope__in=[OPERATOR, context.current_tenant()])


class Meter(models.Model):
    """What is counted: events of one type, a value in them, an aggregation, groups.

    ``scope`` is the tenant that defined the meter for itself, or :data:`OPERATOR` where the
    operator defined it for all tenants. Slugs are unique among what one tenant can see. Paths are
    kept twice: as the caller wrote them (``$.a.b``) and as PostgreSQL reads them (``{a,b}``).
    A meter that is ``ready`` is answered from roll-ups, another from raw events (exact, slower).
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    scope = models.UUIDField(default=OPERATOR, editable=False)
    slug = models.TextField()
    name = models.TextField(blank=True, default="")
    description = models.TextField(blank=True, default="")
    aggregation = models.TextField(choices=Aggregation.choices)
    event_type = models.TextField()
    event_from = models.DateTimeField(null=True, blank=True)
    value_property = models.TextField(null=True, blank=True)  # noqa: DJ001 - COUNT has no value
    value_path = ArrayField(models.TextField(), default=list, blank=True, editable=False)
    group_by = models.JSONField(default=dict, blank=True)
    group_paths = ArrayField(models.TextField(), default=list, blank=True, editable=False)
    metadata = models.JSONField(default=dict, blank=True)
    origin = models.TextField(choices=Origin.choices, default=Origin.EVENTS, editable=False)
    ready = models.BooleanField(default=False, editable=False)
    progress = models.JSONField(default=dict, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = MeterManager()

    class Meta:
        db_table = "billing_meter"
        base_manager_name = "objects"
        ordering = ["slug"]
        indexes = [models.Index(fields=["scope", "event_type"], name="billing_meter_type")]
        constraints = [
            models.UniqueConstraint(
                fields=["scope", "slug"],
                condition=models.Q(deleted_at=None),
                name="billing_meter_slug",
            ),
            models.CheckConstraint(
                name="billing_meter_slug_form", condition=models.Q(slug__regex=SLUG_PATTERN)
            ),
            models.CheckConstraint(
                name="billing_meter_aggregation",
                condition=models.Q(aggregation__in=Aggregation.values),
            ),
            models.CheckConstraint(
                name="billing_meter_value",
                condition=models.Q(aggregation=Aggregation.COUNT, value_property=None)
                | ~models.Q(aggregation=Aggregation.COUNT) & ~models.Q(value_property=None),
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    @property
    def group_keys(self) -> list[str]:
        """Name the group-by keys in the order in which roll-ups keep their values."""
        return sorted(self.group_by)

    @classmethod
    def visible(cls) -> models.QuerySet[Self]:
        """Give the meters that the context may see and that are not deleted."""
        return cls.objects.filter(deleted_at=None)  # type: ignore[return-value]  # same class
