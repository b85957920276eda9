"""Latency of every URL route: enumeration, protocol, deterministic counts and verdicts."""
