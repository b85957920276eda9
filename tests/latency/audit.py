"""The log and its proofs."""

from __future__ import annotations

from audit.sealing import headslog
from audit.sealing.sealer import Sealer
from bench.latency.calls import Call, json_call
from tests.latency.cases import Case, always
from tests.latency.world import PAGE, World

V1 = "/api/v1/audit"
TILE = "0/000.p/1"


def seal(world: World) -> None:
    """Give the entries that the tenant has so far their places, and publish all logs' states."""
    assert world.tenant.id
    sealer = Sealer()
    try:
        sealer.drain()
    finally:
        sealer.release()
    headslog.publish()


def read(path: str, query: str = "") -> Case:
    """A GET of the tenant."""

    def make(world: World) -> Call:
        seal(world)
        return json_call("GET", V1 + path, world.tenant.key, query=query)

    return Case(always(make))


def of_entry(path: str) -> Case:
    """A GET about the tenant's oldest entry, which is sealed."""

    def make(world: World) -> Call:
        seal(world)
        entries = world.ask("GET", f"{V1}/events", key=world.tenant.key)["items"]
        return json_call("GET", f"{V1}/events/{entries[-1]['id']}{path}", world.tenant.key)

    return Case(always(make))


def of_log(path: str) -> Case:
    """A GET about the tenant's log."""

    def make(world: World) -> Call:
        seal(world)
        log = world.ask("GET", f"{V1}/checkpoint", key=world.tenant.key)["log"]
        return json_call("GET", f"{V1}/tlog/{log}/{path}", world.tenant.key)

    return Case(always(make))


def public(path: str) -> Case:
    """A GET of anybody."""

    def make(world: World) -> Call:
        seal(world)
        return Call("GET", V1 + path)

    return Case(always(make))


CASES: dict[str, Case] = {
    "GET /api/v1/audit/events": read("/events", f"limit={PAGE}"),
    "GET /api/v1/audit/events/<str:event>": of_entry(""),
    "GET /api/v1/audit/events/<str:event>/proof": of_entry("/proof"),
    "GET /api/v1/audit/checkpoint": read("/checkpoint"),
    "GET /api/v1/audit/consistency": read("/consistency", "old=1"),
    "GET /api/v1/audit/feed": read("/feed", f"limit={PAGE}"),
    "GET /api/v1/audit/tlog/<str:log>/checkpoint": of_log("checkpoint"),
    "GET /api/v1/audit/tlog/<str:log>/tile/<path:tile>": of_log(f"tile/{TILE}"),
    "GET /api/v1/audit/heads/checkpoint": public("/heads/checkpoint"),
    "GET /api/v1/audit/heads/tile/<path:tile>": public(f"/heads/tile/{TILE}"),
    "GET /api/v1/admin/audit/events": Case(
        always(
            lambda world: json_call(
                "GET",
                "/api/v1/admin/audit/events",
                world.platform_key,
                query=f"tenant={world.tenant.id}&limit={PAGE}",
            )
        )
    ),
}
