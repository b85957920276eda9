"""The staff's pages."""

from __future__ import annotations

from tests.latency.cases import Case

CASES: dict[str, Case] = {}
