"""Usage, catalogue, entitlements."""

from __future__ import annotations

import json

from bench.latency.calls import Call, json_call
from tests.latency.cases import Case, always, each
from tests.latency.world import METER, METER_EVENT, World

V1 = "/api/v1"
SINGLE = "application/cloudevents+json"


def read(path: str, query: str = "") -> Case:
    """A GET of the tenant."""
    return Case(always(lambda world: json_call("GET", V1 + path, world.tenant.key, query=query)))


def event(world: World, number: int) -> Call:
    """One usage event."""
    body = {
        "specversion": "1.0",
        "id": world.fresh("event"),
        "source": "latency",
        "type": METER_EVENT,
        "subject": f"subject-{number % 10}",
        "data": {"value": number % 7, "region": f"region-{number % 3}"},
    }
    headers = {"Authorization": f"Bearer {world.tenant.key}", "Content-Type": SINGLE}
    return Call("POST", f"{V1}/events", headers, json.dumps(body).encode())


def define_meter(world: World, number: int) -> Call:
    """One more meter, of a tenant that has none yet: nothing is counted back."""
    body = {"slug": world.fresh("m")[:60].replace("-", "_"), "aggregation": "COUNT"}
    body["eventType"] = body["slug"]
    return json_call("POST", f"{V1}/meters", world.quiet_tenant.key, body)


def change_meter(world: World, number: int) -> Call:
    """Another description."""
    body = {"description": f"changed {number}"}
    return json_call("PUT", f"{V1}/meters/{METER}", world.tenant.key, body)


def delete_meter(world: World, number: int) -> Call:
    """A meter made just before."""
    made = world.send(define_meter(world, number)).json()
    return json_call("DELETE", f"{V1}/meters/{made['id']}", world.quiet_tenant.key)


def ask(world: World) -> Call:
    """A question by day and group."""
    body = {"windowSize": "DAY", "groupBy": ["region"]}
    return json_call("POST", f"{V1}/meters/{METER}/query", world.tenant.key, body)


CASES: dict[str, Case] = {
    "GET /api/v1/events": read("/events"),
    "POST /api/v1/events": Case(each(event), "usage.ingest", 204),
    "GET /api/v1/meters": read("/meters"),
    "POST /api/v1/meters": Case(each(define_meter), status=201),
    "GET /api/v1/meters/<str:id_or_slug>": read(f"/meters/{METER}"),
    "PUT /api/v1/meters/<str:id_or_slug>": Case(each(change_meter)),
    "DELETE /api/v1/meters/<str:id_or_slug>": Case(each(delete_meter), status=204),
    "GET /api/v1/meters/<str:id_or_slug>/query": read(
        f"/meters/{METER}/query", "windowSize=DAY&groupBy=region"
    ),
    "POST /api/v1/meters/<str:id_or_slug>/query": Case(always(ask)),
    "GET /api/v1/meters/<str:id_or_slug>/subjects": read(f"/meters/{METER}/subjects"),
    "GET /api/v1/meters/<str:id_or_slug>/group-by/<path:key>/values": read(
        f"/meters/{METER}/group-by/region/values"
    ),
}
