"""Features, plans, plan versions and revenue tiers."""

from billing.catalog.models.features import Feature, PlanLimit
from billing.catalog.models.plans import Plan, PlanFeature, PlanVersion, RevenueTier
from billing.catalog.models.values import Interval, Kind

__all__ = [
    "Feature",
    "Interval",
    "Kind",
    "Plan",
    "PlanFeature",
    "PlanLimit",
    "PlanVersion",
    "RevenueTier",
]
