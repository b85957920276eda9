"""The models of billing, for Django's app registry: one line for each inner package."""

from billing.catalog.models import Feature, Plan, PlanFeature, PlanVersion, RevenueTier
from billing.entitlements.models import Override
from billing.subscriptions.models import Subject, Subscription

__all__ = [
    "Feature",
    "Override",
    "Plan",
    "PlanFeature",
    "PlanVersion",
    "RevenueTier",
    "Subject",
    "Subscription",
]
