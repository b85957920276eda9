"""All cases of all nouns, by `METHOD /pattern` as the URL map writes it."""

from __future__ import annotations

from tests.latency import accounts, admin, audit, billing, grants, operations, tenants
from tests.latency.cases import Case

ROUTE_CASES: dict[str, Case] = {}
for noun in (operations, tenants, accounts, billing, grants, audit, admin):
    twice = ROUTE_CASES.keys() & noun.CASES.keys()
    if twice:
        raise ValueError(f"cases given twice: {sorted(twice)}")
    ROUTE_CASES |= noun.CASES
