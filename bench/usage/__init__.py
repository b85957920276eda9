"""Drills and measurements of metering: killed under load, asked over a month of usage."""
