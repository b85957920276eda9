"""Entitlements and grants: reads of a tenant, changes of the operator."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bench.latency.calls import Call, json_call
from kernel import db
from kernel.gate import quota
from tests.latency.cases import Case, always, each
from tests.latency.world import World

Body = dict[str, object]
FEATURE = "processed_units"
V2 = "/api/v2/customers/{slug}/entitlements"
V1 = "/api/v1/subjects/{slug}/entitlements"


def ask(world: World, method: str, path: str, body: Body | None = None) -> Call:
    """A call of the operator about the tenant that has grants."""
    return json_call(method, path.format(slug=world.granted_tenant.slug), world.platform_key, body)


def anew(world: World) -> str:
    """Start from a fresh entitlement, so that nothing piles up; give its id.

    The windows of the entitlements before have ended and go, as every night: no customer has
    thousands of them.
    """
    with db.use_alias("staff"):
        quota.forget(datetime.now(UTC))
    body: Body = {
        "type": "metered",
        "featureKey": FEATURE,
        "usagePeriod": {"interval": "MONTH"},
        "issueAfterReset": 1000,
    }
    made = world.send(ask(world, "PUT", f"{V2}/{FEATURE}/override", body))
    assert made.status == 201, made.body
    return str(made.json()["id"])


def grant() -> Body:
    """A grant from now on."""
    now = datetime.now(UTC)
    return {"amount": 10, "effectiveAt": now.isoformat(),
            "expiration": {"duration": "DAY", "count": 30}}  # fmt: skip


def granted(world: World) -> str:
    """A grant that was given just before; give its id."""
    anew(world)
    made = world.send(ask(world, "POST", f"{V2}/{FEATURE}/grants", grant()))
    assert made.status == 201, made.body
    return str(made.json()["id"])


def give(base: str) -> Case:
    """One more grant of a fresh entitlement."""

    def make(world: World, number: int) -> Call:
        anew(world)
        return ask(world, "POST", f"{base}/{FEATURE}/grants", grant())

    return Case(each(make), status=201)


def reset(base: str) -> Case:
    """The first reset of a fresh entitlement."""

    def make(world: World, number: int) -> Call:
        anew(world)
        return ask(world, "POST", f"{base}/{FEATURE}/reset", {"retainAnchor": bool(number % 2)})

    return Case(each(make), status=204)


def override(base: str) -> Case:
    """A number in the place of another."""

    def make(world: World, number: int) -> Call:
        body: Body = {"type": "static", "featureKey": "seats",
                      "config": f'{{"value":{1 + number % 50}}}'}  # fmt: skip
        return ask(world, "PUT", f"{base}/seats/override", body)

    return Case(each(make), status=201)


def create(base: str) -> Case:
    """An entitlement of a feature that the plan leaves out."""

    def make(world: World, number: int) -> Call:
        world.send(ask(world, "DELETE", f"{V2}/{world.left_out}"))
        body: Body = {"type": "boolean", "featureKey": world.left_out}
        return ask(world, "POST", base, body)

    return Case(each(make), status=201)


def delete(base: str) -> Case:
    """An entitlement of the tenant's own."""

    def make(world: World, number: int) -> Call:
        anew(world)
        return ask(world, "DELETE", f"{base}/{FEATURE}")

    return Case(each(make), status=204)


def void(world: World, number: int) -> Call:
    """A grant made just before."""
    return ask(world, "DELETE", f"/api/v1/grants/{granted(world)}")


def read(path: str, query: str = "") -> Case:
    """A GET of the tenant, which has a grant."""

    def make(world: World) -> Call:
        granted(world)
        tenant = world.granted_tenant
        return json_call("GET", path.format(slug=tenant.slug), tenant.key, query=query)

    return Case(always(make))


def one(path: str) -> Case:
    """A GET of one entitlement by its id."""

    def make(world: World) -> Call:
        entitlement = anew(world)
        return json_call("GET", f"{path}/{entitlement}", world.granted_tenant.key)

    return Case(always(make))


def below(base: str, place: str) -> dict[str, Case]:
    """The routes below a customer or a subject."""
    entitlement = f"{place}/<str:feature>"
    since = (datetime.now(UTC) - timedelta(days=3)).strftime("%Y-%m-%dT00:00:00Z")
    return {
        f"GET {place}": read(base),
        f"POST {place}": create(base),
        f"GET {entitlement}": read(f"{base}/{FEATURE}"),
        f"DELETE {entitlement}": delete(base),
        f"PUT {entitlement}/override": override(base),
        f"GET {entitlement}/grants": read(f"{base}/{FEATURE}/grants"),
        f"POST {entitlement}/grants": give(base),
        f"GET {entitlement}/history": read(
            f"{base}/{FEATURE}/history", f"windowSize=DAY&from={since}"
        ),
        f"POST {entitlement}/reset": reset(base),
    }


CASES: dict[str, Case] = {
    **below(V2, "/api/v2/customers/<str:customer>/entitlements"),
    **below(V1, "/api/v1/subjects/<path:subject>/entitlements"),
    "GET /api/v1/subjects/<path:subject>/entitlements/<str:feature>/value": read(
        f"{V1}/{FEATURE}/value"
    ),
    "GET /api/v1/entitlements": read("/api/v1/entitlements"),
    "GET /api/v2/entitlements": read("/api/v2/entitlements"),
    "GET /api/v1/entitlements/<str:entitlement>": one("/api/v1/entitlements"),
    "GET /api/v2/entitlements/<str:entitlement>": one("/api/v2/entitlements"),
    "GET /api/v1/grants": read("/api/v1/grants"),
    "GET /api/v2/grants": read("/api/v2/grants"),
    "DELETE /api/v1/grants/<str:grant>": Case(each(void), status=204),
}
