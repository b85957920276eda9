"""Reads of usage, one module a noun."""
