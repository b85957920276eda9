"""Thresholds of quotas that use has crossed: each once in a period."""

from django.db import models

from kernel.tenancy.models import TenantOwned

CROSSING_PREFIX = "thr"


class ThresholdCrossing(TenantOwned):
    """Use reached ``threshold`` percent of the limit in one period of a metered feature.

    Amounts are as they were when it was told. A limit that is raised so far that the threshold lies
    above what is used re-arms it (``rearmed_at``): only then may the same one be crossed again in
    the period. Written by the operator's side only.
    """

    feature_key = models.TextField()
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    threshold = models.PositiveSmallIntegerField(help_text="Percent of the limit.")
    usage = models.DecimalField(max_digits=38, decimal_places=12)
    limit = models.DecimalField(max_digits=38, decimal_places=12)
    crossed_at = models.DateTimeField()
    rearmed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "billing_threshold"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "id"], name="billing_threshold_tenant"),
            models.UniqueConstraint(
                fields=["tenant_id", "feature_key", "period_start", "threshold"],
                condition=models.Q(rearmed_at=None),
                name="billing_threshold_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.feature_key} {self.threshold} %"
