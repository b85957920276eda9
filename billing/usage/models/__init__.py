"""Meters and usage events. Roll-ups and keys are plain tables: see sql/tables.sql."""

from billing.usage.models.events import UsageEvent
from billing.usage.models.meters import OPERATOR, Aggregation, Meter, Origin

__all__ = ["OPERATOR", "Aggregation", "Meter", "Origin", "UsageEvent"]
