"""Usage, catalogue, entitlements."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from bench.latency.calls import Call, json_call
from tests.latency.cases import Case, Make, always, each
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


def amend(verb: str, **more: object) -> Make:
    """A change of an event that was reported just before."""

    def make(world: World, number: int) -> Call:
        call = event(world, number)
        assert world.send(call).status == 204
        sent = json.loads(call.body)
        body = {"source": sent["source"], "id": sent["id"], "reason": "test", **more}
        return json_call("POST", f"{V1}/events/{verb}", world.tenant.key, body)

    return each(make)


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
    made = world.send(define_meter(world, number))
    assert made.status == 201, made.body
    return json_call("DELETE", f"{V1}/meters/{made.json()['id']}", world.quiet_tenant.key)


def by_day(path: str, **query: str) -> Case:
    """A GET of the tenant that answers with the day of its events."""

    def make(world: World) -> Call:
        asked = urlencode({"windowSize": "DAY", **query, **world.day})
        return json_call("GET", V1 + path, world.tenant.key, query=asked)

    return Case(always(make))


def ask(world: World) -> Call:
    """A question by day and group."""
    body = {"windowSize": "DAY", "groupBy": ["region"], **world.day}
    return json_call("POST", f"{V1}/meters/{METER}/query", world.tenant.key, body)


def customer(path: str) -> Case:
    """What a customer may use, asked by itself."""
    return Case(
        always(
            lambda world: json_call(
                "GET", f"/api/{path.format(customer=world.tenant.slug)}", world.tenant.key
            )
        ),
        "flags.entitlement_check",
    )


def by_operator(path: str) -> Case:
    """A GET of the operator about the tenant."""
    return Case(
        always(
            lambda world: json_call(
                "GET", V1 + path.format(tenant=world.tenant.id), world.platform_key
            )
        )
    )


def assign_plan(world: World, number: int) -> Call:
    """Back and forth between two plans."""
    plan = ("basic", "professional")[number % 2]
    path = f"{V1}/admin/tenants/{world.moving_tenant.id}/plan"
    return json_call("PUT", path, world.platform_key, {"plan": plan})


def describe_subject(world: World, number: int) -> Call:
    """The same subject again, with another name."""
    body = [{"key": "subject-1", "displayName": f"Name {number}"}]
    return json_call("POST", f"{V1}/subjects", world.tenant.key, body)


def delete_subject(world: World, number: int) -> Call:
    """A subject described just before."""
    key = world.fresh("subject")
    body = [{"key": key, "displayName": "Short-lived"}]
    made = world.send(json_call("POST", f"{V1}/subjects", world.quiet_tenant.key, body))
    assert made.status == 200, made.body
    return json_call("DELETE", f"{V1}/subjects/{key}", world.quiet_tenant.key)


def read_subject(world: World) -> Call:
    """One subject."""
    assert world.send(describe_subject(world, 0)).status == 200
    return json_call("GET", f"{V1}/subjects/subject-1", world.tenant.key)


def quota(world: World, verb: str, body: dict[str, object]) -> Call:
    """A guarded use of the shipped quota, unlimited on the tenant's plan."""
    path = f"{V1}/customers/{world.tenant.slug}/entitlements/processed_units/{verb}"
    return json_call("POST", path, world.tenant.key, body)


def consume(world: World, number: int) -> Call:
    """Use some units."""
    return quota(world, "consume", {"quantity": 1 + number % 3})


def reserve(world: World, number: int) -> Call:
    """Hold some units for a minute."""
    return quota(world, "reserve", {"quantity": 1 + number % 3})


def end(verb: str) -> Case:
    """End a hold taken just before."""

    def make(world: World, number: int) -> Call:
        held = world.send(reserve(world, number)).json()
        return quota(world, verb, {"reservation": held["id"]})

    return Case(each(make), status=200 if verb == "commit" else 204)


def make_customer(world: World, number: int) -> Call:
    """One more customer."""
    key = world.fresh("customer")[:60]
    body = {"name": f"Customer {number}", "key": key, "primaryEmail": "a@example.org"}
    return json_call("POST", f"{V1}/customers", world.platform_key, body)


def describe_customer(world: World, number: int) -> Call:
    """Another address of the tenant itself."""
    body = {"name": world.quiet_tenant.slug, "primaryEmail": f"mail{number}@example.org"}
    path = f"{V1}/customers/{world.quiet_tenant.slug}"
    return json_call("PUT", path, world.quiet_tenant.key, body)


def delete_customer(world: World, number: int) -> Call:
    """A customer made just before."""
    made = world.send(make_customer(world, number))
    assert made.status == 201, made.body
    return json_call("DELETE", f"{V1}/customers/{made.json()['id']}", world.platform_key)


def add_feature(world: World, number: int) -> Call:
    """One more feature."""
    key = world.fresh("f").replace("-", "_")[:60]
    body = {"key": key, "name": f"Feature {number}", "meterSlug": "processed_units"}
    return json_call("POST", f"{V1}/features", world.platform_key, body)


def archive_feature(world: World, number: int) -> Call:
    """A feature made just before."""
    made = world.send(add_feature(world, number))
    assert made.status == 201, made.body
    return json_call("DELETE", f"{V1}/features/{made.json()['id']}", world.platform_key)


def list_events(world: World) -> Call:
    """A page of events of one type."""
    query = urlencode({"limit": 20, "filter": json.dumps({"type": {"$eq": METER_EVENT}})})
    return json_call("GET", "/api/v2/events", world.tenant.key, query=query)


def export_events(world: World) -> Call:
    """One subject's events since yesterday."""
    yesterday = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    query = urlencode({"type": METER_EVENT, "subject": "subject-1", "from": yesterday})
    return json_call("GET", f"{V1}/events/export", world.tenant.key, query=query)


def ask_access(world: World) -> Call:
    """Three features of one customer."""
    body = {"customers": [world.tenant.slug], "features": ["seats", "sso", "processed_units"]}
    return json_call("POST", f"{V1}/access/query", world.tenant.key, body)


_QUOTA = "POST /api/v1/customers/<str:customer>/entitlements/<str:feature>"
_STATIC = "customers/{customer}/entitlements/seats/value"
_METERED = "customers/{customer}/entitlements/api_requests/value"

CASES: dict[str, Case] = {
    "POST /api/v1/events/void": Case(amend("void"), status=204),
    "POST /api/v1/events/correct": Case(amend("correct", data={"value": 1}), status=204),
    "GET /api/v1/usage/current": Case(
        always(lambda world: json_call("GET", f"{V1}/usage/current", world.tenant.key)),
        "usage.routes",
    ),
    "GET /api/v1/usage/keys": read("/usage/keys", "limit=1"),
    "GET /api/v1/usage/features": read("/usage/features"),
    "GET /api/v1/usage/export": by_day("/usage/export", meter=METER),
    "GET /api/v1/events/feed": read("/events/feed", "limit=20"),
    "GET /api/v1/events/export": Case(always(export_events)),
    "GET /api/v1/usage/analytics": Case(
        always(lambda world: json_call("GET", f"{V1}/usage/analytics", world.tenant.key)),
        "usage.routes",
    ),
    "POST /api/v1/customers": Case(each(make_customer), status=201),
    "PUT /api/v1/customers/<str:customer>": Case(each(describe_customer)),
    "DELETE /api/v1/customers/<str:customer>": Case(each(delete_customer), status=204),
    "POST /api/v1/features": Case(each(add_feature), status=201),
    "DELETE /api/v1/features/<str:feature>": Case(each(archive_feature), status=204),
    "GET /api/v2/events": Case(always(list_events)),
    "GET /api/v1/usage/thresholds": read("/usage/thresholds"),
    "POST /api/v1/access/query": Case(always(ask_access)),
    "GET /api/v1/plans": read("/plans"),
    "GET /api/v1/admin/tenants/<str:tenant>/plan": by_operator("/admin/tenants/{tenant}/plan"),
    "PUT /api/v1/admin/tenants/<str:tenant>/plan": Case(each(assign_plan)),
    "GET /api/v1/features": read("/features"),
    "GET /api/v1/features/<str:feature>": read("/features/seats"),
    "GET /api/v1/customers": read("/customers"),
    "GET /api/v1/customers/<str:customer>": customer("v1/customers/{customer}"),
    "GET /api/v1/customers/<str:customer>/access": customer("v1/customers/{customer}/access"),
    "GET /api/v1/customers/<str:customer>/entitlements/<str:feature>/value": customer(
        f"v1/{_STATIC}"
    ),
    "GET /api/v2/customers/<str:customer>/entitlements/<str:feature>/value": customer(
        f"v2/{_METERED}"
    ),
    f"{_QUOTA}/consume": Case(each(consume)),
    f"{_QUOTA}/reserve": Case(each(reserve), status=201),
    f"{_QUOTA}/commit": end("commit"),
    f"{_QUOTA}/release": end("release"),
    "GET /api/v1/subjects": read("/subjects"),
    "POST /api/v1/subjects": Case(each(describe_subject)),
    "GET /api/v1/subjects/<path:subject>": Case(always(read_subject)),
    "DELETE /api/v1/subjects/<path:subject>": Case(each(delete_subject), status=204),
    "GET /api/v1/events": read("/events", "limit=20"),
    "POST /api/v1/events": Case(each(event), "usage.ingest", 204),
    "GET /api/v1/meters": read("/meters"),
    "POST /api/v1/meters": Case(each(define_meter), status=201),
    "GET /api/v1/meters/<str:id_or_slug>": read(f"/meters/{METER}"),
    "PUT /api/v1/meters/<str:id_or_slug>": Case(each(change_meter)),
    "DELETE /api/v1/meters/<str:id_or_slug>": Case(each(delete_meter), status=204),
    "GET /api/v1/meters/<str:id_or_slug>/query": by_day(f"/meters/{METER}/query", groupBy="region"),
    "POST /api/v1/meters/<str:id_or_slug>/query": Case(always(ask)),
    "GET /api/v1/meters/<str:id_or_slug>/subjects": read(f"/meters/{METER}/subjects"),
    "GET /api/v1/meters/<str:id_or_slug>/group-by/<path:key>/values": read(
        f"/meters/{METER}/group-by/region/values"
    ),
}
