"""Reads of entitlements."""
