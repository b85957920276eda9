"""Keys, members, roles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.latency.calls import Call, json_call
from tests.latency.cases import Case, Make, always, each
from tests.latency.world import PAGE, World

V1 = "/api/v1"
NEW_KEY = {"name": "made by a latency case"}


def read(path: str, query: str = "") -> Case:
    """A GET of the tenant."""
    return Case(always(lambda world: json_call("GET", V1 + path, world.tenant.key, query=query)))


def verify(world: World) -> Call:
    """A service asks about a customer's key."""
    body = {"key": world.tenant.key, "feature": "sso"}
    return json_call("POST", f"{V1}/keys/verify", world.platform_key, body)


def new_member(world: World) -> dict[str, Any]:
    """Somebody whom nobody knows yet."""
    return {"email": f"{world.fresh('member')}@example.org", "role": "member", "name": "A Member"}


def create(path: str, body: Callable[[World], dict[str, Any]]) -> Make:
    """A POST of the quiet tenant, which may pile up what it makes."""
    return each(
        lambda world, number: json_call("POST", V1 + path, world.quiet_tenant.key, body(world))
    )


def on_fresh(
    path: str,
    body: Callable[[World], dict[str, Any]],
    method: str,
    tail: str = "",
    change: Any = None,
) -> Make:
    """A call about something of the quiet tenant that was made just before, outside the timing."""

    def make(world: World, number: int) -> Call:
        made = world.ask("POST", V1 + path, body(world), key=world.quiet_tenant.key)
        key = world.quiet_tenant.key
        return json_call(method, f"{V1}{path}/{made['id']}{tail}", key, change)

    return each(make)


def read_member(world: World) -> Call:
    """One of the tenant's members."""
    made = world.ask("POST", f"{V1}/members", new_member(world), key=world.tenant.key)
    return json_call("GET", f"{V1}/members/{made['id']}", world.tenant.key)


def operator(path: str, method: str = "GET", body: Any = None, query: str = "") -> Make:
    """A call of the operator; {tenant} in the path is the tenant."""
    return each(
        lambda world, number: json_call(
            method, V1 + path.format(tenant=world.tenant.id), world.platform_key, body, query
        )
    )


def revoke_tenant_key(world: World, number: int) -> Call:
    """A key of the quiet tenant that the operator issued just before."""
    path = f"{V1}/admin/tenants/{world.quiet_tenant.id}/keys"
    made = world.ask("POST", path, NEW_KEY)
    return json_call("POST", f"{path}/{made['id']}/revoke", world.platform_key, {"reason": "test"})


def revoke_platform_key(world: World, number: int) -> Call:
    """A platform key issued just before."""
    made = world.ask("POST", f"{V1}/admin/platform-keys", PLATFORM_KEY)
    path = f"{V1}/admin/platform-keys/{made['id']}/revoke"
    return json_call("POST", path, world.platform_key, {"reason": "test"})


def rotate_tenant_key(world: World, number: int) -> Call:
    """A key of the quiet tenant that the operator issued just before."""
    path = f"{V1}/admin/tenants/{world.quiet_tenant.id}/keys"
    made = world.ask("POST", path, NEW_KEY)
    return json_call("POST", f"{path}/{made['id']}/rotate", world.platform_key, {})


def rotate_platform_key(world: World, number: int) -> Call:
    """A platform key issued just before."""
    made = world.ask("POST", f"{V1}/admin/platform-keys", PLATFORM_KEY)
    path = f"{V1}/admin/platform-keys/{made['id']}/rotate"
    return json_call("POST", path, world.platform_key, {})


PLATFORM_KEY = {"name": "made by a latency case", "permissions": ["keys:verify"]}

CASES: dict[str, Case] = {
    "POST /api/v1/keys/verify": Case(always(verify), "auth.key_verify"),
    "GET /api/v1/keys": read("/keys", "limit=1"),
    "POST /api/v1/keys": Case(create("/keys", lambda world: NEW_KEY), "keys.routes", 201),
    "GET /api/v1/keys/<str:key>": Case(
        always(lambda w: json_call("GET", f"{V1}/keys/{w.tenant.key_id}", w.tenant.key)),
        "keys.routes",
    ),
    "POST /api/v1/keys/<str:key>/revoke": Case(
        on_fresh("/keys", lambda world: NEW_KEY, "POST", "/revoke", {"reason": "test"}),
        "keys.routes",
    ),
    "POST /api/v1/keys/<str:key>/rotate": Case(
        on_fresh("/keys", lambda world: NEW_KEY, "POST", "/rotate", {"grace_seconds": 60}),
        "keys.routes",
        201,
    ),
    "GET /api/v1/members": read("/members", f"limit={PAGE}"),
    "POST /api/v1/members": Case(create("/members", new_member), "users.routes", 201),
    "GET /api/v1/members/<str:member>": Case(always(read_member), "users.routes"),
    "PATCH /api/v1/members/<str:member>": Case(
        on_fresh("/members", new_member, "PATCH", change={"role": "auditor"}), "users.routes"
    ),
    "DELETE /api/v1/members/<str:member>": Case(
        on_fresh("/members", new_member, "DELETE"), "users.routes", 204
    ),
    "GET /api/v1/roles": read("/roles"),
    "GET /api/v1/me": read("/me"),
    "GET /api/v1/admin/tenants/<str:tenant>/keys": Case(
        operator("/admin/tenants/{tenant}/keys", query="limit=1"), "keys.routes"
    ),
    "POST /api/v1/admin/tenants/<str:tenant>/keys": Case(
        operator("/admin/tenants/{tenant}/keys", "POST", NEW_KEY), "keys.routes", 201
    ),
    "POST /api/v1/admin/tenants/<str:tenant>/keys/<str:key>/revoke": Case(
        each(revoke_tenant_key), "keys.routes"
    ),
    "POST /api/v1/admin/tenants/<str:tenant>/keys/<str:key>/rotate": Case(
        each(rotate_tenant_key), "keys.routes", 201
    ),
    "GET /api/v1/admin/platform-keys": Case(
        operator("/admin/platform-keys", query=f"limit={PAGE}"), "keys.routes"
    ),
    "POST /api/v1/admin/platform-keys": Case(
        operator("/admin/platform-keys", "POST", PLATFORM_KEY), "keys.routes", 201
    ),
    "POST /api/v1/admin/platform-keys/<str:key>/revoke": Case(
        each(revoke_platform_key), "keys.routes"
    ),
    "POST /api/v1/admin/platform-keys/<str:key>/rotate": Case(
        each(rotate_platform_key), "keys.routes", 201
    ),
}
