"""Reads of crossed thresholds."""

from django.db import models

from billing.entitlements.models import ThresholdCrossing


def crossings(feature: str = "") -> models.QuerySet[ThresholdCrossing]:
    """Give the crossings that the context may see, of one feature if it is named."""
    rows = ThresholdCrossing.objects.all()
    return rows.filter(feature_key=feature) if feature else rows
