"""Overrides, entitlements and grants, and the effective value they lead to."""

from billing.entitlements.models.entitlements import (
    Entitlement,
    EntitlementReset,
    EntitlementType,
    plan_stream,
)
from billing.entitlements.models.grants import ExpiryUnit, Grant
from billing.entitlements.models.overrides import Mode, Override
from billing.entitlements.models.thresholds import ThresholdCrossing

__all__ = [
    "Entitlement",
    "EntitlementReset",
    "EntitlementType",
    "ExpiryUnit",
    "Grant",
    "Mode",
    "Override",
    "ThresholdCrossing",
    "plan_stream",
]
