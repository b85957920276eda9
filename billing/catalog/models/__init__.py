"""Features, plans, plan versions and revenue tiers."""

from billing.catalog.models.features import Counter, Feature
from billing.catalog.models.plans import Plan, PlanFeature, PlanVersion, RevenueTier
from billing.catalog.models.values import Interval, Kind

__all__ = [
    "Counter",
    "Feature",
    "Interval",
    "Kind",
    "Plan",
    "PlanFeature",
    "PlanVersion",
    "RevenueTier",
]
