"""Keys, members, roles."""

from __future__ import annotations

from bench.latency.calls import Call, json_call
from tests.latency.cases import Case, always
from tests.latency.world import World


def verify(world: World) -> Call:
    """A service asks about a customer's key."""
    body = {"key": world.tenant.key, "feature": "sso"}
    return json_call("POST", "/api/v1/keys/verify", world.platform_key, body)


CASES: dict[str, Case] = {
    "POST /api/v1/keys/verify": Case(always(verify), "auth.key_verify"),
}
