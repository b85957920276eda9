"""The log and its proofs."""

from __future__ import annotations

from typing import Any

from audit.sealing import headslog
from audit.sealing.sealer import Sealer
from bench.latency.calls import Call, json_call
from tests.latency.cases import Case, Make, always, each
from tests.latency.world import PAGE, World

V1 = "/api/v1/audit"
TILE = "0/000.p/1"
DECLARATION = {"action": "bench.done", "schema": {"type": "object"}}
VIEWER = {"label": "auditor", "minutes": 1440, "filter": {"outcome": "success"}}
OWN = "tenant={tenant}"
RULE = {"plan": "bench-none", "days": 36_500}
STREAM = {"name": "siem", "kind": "webhook", "url": "https://siem.invalid/"}
ENTRY = {"action": "bench.done", "actor": {"type": "user", "id": "u-1"}, "metadata": {"n": "1"}}


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


def to_quiet(path: str, body: dict[str, Any]) -> Make:
    """A POST of the quiet tenant, which may pile up what it makes."""
    return each(lambda world, number: json_call("POST", V1 + path, world.quiet_tenant.key, body))


def submission(world: World) -> Call:
    """One entry of an application, of an action that is declared first."""
    key = world.quiet_tenant.key
    world.ask("POST", f"{V1}/schemas", DECLARATION, key=key)
    return json_call("POST", f"{V1}/events", key, ENTRY)


def of_operator(
    method: str, path: str, body: dict[str, Any] | None = None, *, query: str = ""
) -> Case:
    """A call of the operator; the query may name the tenant."""

    def make(world: World) -> Call:
        named = query.format(tenant=world.tenant.id)
        route = f"/api/v1/admin/audit{path}"
        return json_call(method, route, world.platform_key, body, query=named)

    return Case(always(make))


def narrow_hold(world: World, number: int) -> dict[str, Any]:
    """A hold of one person's entries, in a tenant whose log no other case reads."""
    person = f"nobody-{number}"
    return {"tenant": world.moving_tenant.id, "reason": "measured", "filter": {"person": person}}


def new_hold(world: World, number: int) -> Call:
    """Setting a hold."""
    body = narrow_hold(world, number)
    return json_call("POST", "/api/v1/admin/audit/holds", world.platform_key, body)


def release(world: World, number: int) -> Call:
    """The end of a hold that was just set."""
    held = world.ask("POST", "/api/v1/admin/audit/holds", narrow_hold(world, number))
    path = f"/api/v1/admin/audit/holds/{held['id']}/release"
    return json_call("POST", path, world.platform_key, {})


def new_stream(world: World, number: int) -> Call:
    """A new stream of a tenant that has not yet as many as it may have."""
    key = world.quiet_tenant.key
    for known in world.ask("GET", f"{V1}/streams", key=key)["items"]:
        world.ask("DELETE", f"{V1}/streams/{known['id']}", key=key)
    return json_call("POST", f"{V1}/streams", key, STREAM)


def stream_to_end(world: World, number: int) -> Call:
    """The end of a stream that was made for it."""
    new_stream(world, number)
    key = world.quiet_tenant.key
    made = world.ask("POST", f"{V1}/streams", STREAM, key=key)
    return json_call("DELETE", f"{V1}/streams/{made['id']}", key)


def of_stream(method: str, path: str, status: int = 200) -> Case:
    """A request about a stream of the tenant."""

    def make(world: World) -> Call:
        seal(world)
        found = world.ask("GET", f"{V1}/streams", key=world.tenant.key)["items"]
        made = found or [world.ask("POST", f"{V1}/streams", STREAM, key=world.tenant.key)]
        body = {} if method == "POST" else None
        return json_call(method, f"{V1}/streams/{made[0]['id']}{path}", world.tenant.key, body)

    return Case(always(make), status=status)


def end_viewer(world: World, number: int) -> Call:
    """The end of a viewer token that was just made."""
    key = world.quiet_tenant.key
    made = world.ask("POST", f"{V1}/viewer-tokens", VIEWER, key=key)
    return json_call("POST", f"{V1}/viewer-tokens/{made['id']}/revoke", key)


def as_viewer(world: World) -> Call:
    """A page of entries, read with a viewer token."""
    seal(world)
    made = world.ask("POST", f"{V1}/viewer-tokens", VIEWER, key=world.tenant.key)
    return json_call("GET", f"{V1}/viewer/events", made["token"], query=f"limit={PAGE}")


CASES: dict[str, Case] = {
    "POST /api/v1/audit/events": Case(always(submission), status=201),
    "GET /api/v1/audit/schemas": read("/schemas"),
    "POST /api/v1/audit/schemas": Case(to_quiet("/schemas", DECLARATION), status=201),
    "POST /api/v1/audit/erasures": Case(to_quiet("/erasures", {"subject": "u-1"})),
    "GET /api/v1/audit/export": read("/export"),
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
    "GET /api/v1/audit/viewer-tokens": read("/viewer-tokens"),
    "POST /api/v1/audit/viewer-tokens": Case(to_quiet("/viewer-tokens", VIEWER), status=201),
    "POST /api/v1/audit/viewer-tokens/<str:viewer>/revoke": Case(each(end_viewer), status=204),
    "GET /api/v1/audit/viewer/events": Case(always(as_viewer)),
    "GET /api/v1/audit/retention": read("/retention"),
    "GET /api/v1/admin/audit/retention": of_operator("GET", "/retention", query=OWN),
    "PUT /api/v1/admin/audit/retention": of_operator("PUT", "/retention", RULE),
    "GET /api/v1/admin/audit/holds": of_operator("GET", "/holds", query=OWN),
    "POST /api/v1/admin/audit/holds": Case(each(new_hold), status=201),
    "POST /api/v1/admin/audit/holds/<str:hold>/release": Case(each(release)),
    "GET /api/v1/audit/streams": read("/streams"),
    "POST /api/v1/audit/streams": Case(each(new_stream), status=201),
    "GET /api/v1/audit/streams/<str:stream>": of_stream("GET", ""),
    "DELETE /api/v1/audit/streams/<str:stream>": Case(each(stream_to_end), status=204),
    "POST /api/v1/audit/streams/<str:stream>/pause": of_stream("POST", "/pause"),
    "POST /api/v1/audit/streams/<str:stream>/resume": of_stream("POST", "/resume"),
    "POST /api/v1/audit/streams/<str:stream>/test": of_stream("POST", "/test", 202),
    "GET /api/v1/admin/audit/anchors": of_operator("GET", "/anchors"),
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
