"""Writes of usage, one module a noun."""
