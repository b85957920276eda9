"""Inbound sources and outbound deliveries; see README.md for what is there."""
