"""Entitlements and grants, as OpenMeter's clients manage them."""
