"""Measures metering with a month of usage: how fast meters answer over a million events."""
