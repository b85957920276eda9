"""Overrides, and the effective value they lead to."""

from billing.entitlements.models.overrides import Mode, Override

__all__ = ["Mode", "Override"]
