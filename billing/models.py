"""The models of billing, for Django's app registry: one line for each inner package."""

from billing.catalog.models import Feature, Plan, PlanFeature, PlanVersion, RevenueTier
from billing.entitlements.models import (
    Entitlement,
    EntitlementReset,
    Grant,
    Override,
    ThresholdCrossing,
)
from billing.subscriptions.models import CustomerProfile, Subject, Subscription
from billing.usage.models import Meter, UsageEvent

__all__ = [
    "CustomerProfile",
    "Entitlement",
    "EntitlementReset",
    "Feature",
    "Grant",
    "Meter",
    "Override",
    "Plan",
    "PlanFeature",
    "PlanVersion",
    "RevenueTier",
    "Subject",
    "Subscription",
    "ThresholdCrossing",
    "UsageEvent",
]
