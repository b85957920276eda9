"""The tenant's life."""

from __future__ import annotations

from bench.latency.calls import Call, json_call
from tests.latency.cases import Case, Make, always, each
from tests.latency.world import PAGE, World

V1 = "/api/v1"
ADMIN = f"{V1}/admin/tenants"


def create(world: World, number: int) -> Call:
    """One more tenant."""
    slug = world.fresh("lat")
    body = {"name": "A tenant", "slug": slug, "plan": "basic"}
    return json_call("POST", ADMIN, world.platform_key, body)


def move(verb: str, *before: str) -> Make:
    """A change of a tenant's status, after the changes that lead up to it."""

    def make(world: World, number: int) -> Call:
        made = world.send(create(world, number)).json()
        for step in before:
            world.ask("POST", f"{ADMIN}/{made['id']}/{step}", {})
        path = f"{ADMIN}/{made['id']}/{verb}"
        return json_call("POST", path, world.platform_key, {"reason": "test"})

    return each(make)


CASES: dict[str, Case] = {
    "GET /api/v1/tenant": Case(
        always(lambda world: json_call("GET", f"{V1}/tenant", world.tenant.key)), "tenants.routes"
    ),
    "GET /api/v1/admin/tenants": Case(
        always(lambda world: json_call("GET", ADMIN, world.platform_key, query=f"limit={PAGE}")),
        "tenants.routes",
    ),
    "POST /api/v1/admin/tenants": Case(each(create), "tenants.create", 201),
    "GET /api/v1/admin/tenants/<str:tenant>": Case(
        always(lambda w: json_call("GET", f"{ADMIN}/{w.tenant.id}", w.platform_key)),
        "tenants.routes",
    ),
    "POST /api/v1/admin/tenants/<str:tenant>/suspend": Case(move("suspend"), "tenants.routes"),
    "POST /api/v1/admin/tenants/<str:tenant>/restore": Case(
        move("restore", "suspend"), "tenants.routes"
    ),
    "POST /api/v1/admin/tenants/<str:tenant>/close": Case(move("close"), "tenants.routes"),
}
