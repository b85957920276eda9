"""The rows of the table against what docs/budgets.toml grants each kind of request."""

from __future__ import annotations

import pytest

from bench import budgets
from tests.latency.table import COUNTS

GRANTED = {
    "max_statements": "statements",
    "max_round_trips": "round_trips",
    "max_count": "notifies",
}

KINDS = {
    "per_request.gated_snapshot": [
        "POST /api/v1/keys/verify",
        "GET /api/v1/customers/<str:customer>/entitlements/<str:feature>/value",
    ],
    "per_request.usage_event": ["POST /api/v1/events"],
    "per_request.gated_read": [
        "GET /api/v1/keys/<str:key>",
        "GET /api/v1/me",
        "GET /api/v1/meters/<str:id_or_slug>/query",
        "GET /api/v1/tenant",
    ],
    "per_request.health_live": ["GET /livez", "GET /health"],
    "per_request.list": [
        "GET /api/v1/features",
        "GET /api/v1/keys",
        "GET /api/v1/members",
        "GET /api/v1/meters",
        "GET /api/v1/plans",
        "GET /api/v1/roles",
        "GET /api/v1/subjects",
    ],
    "per_request.notify": sorted(COUNTS),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_counts__kind_of_request__is_within_its_budget(kind: str) -> None:
    limits = {
        name: budgets.get(kind).extra[limit]
        for limit, name in GRANTED.items()
        if limit in budgets.get(kind).extra
    }
    assert limits, kind
    over = {
        route: (name, COUNTS[route][name])
        for route in KINDS[kind]
        for name, limit in limits.items()
        if COUNTS[route][name] > limit
    }
    assert over == {}
