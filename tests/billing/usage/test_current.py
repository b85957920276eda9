"""Usage of the running month."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.billing.house import call, make_house, make_key
from tests.billing.usage.reports import define, event, report


def figures(house, key=None):
    body = call(key or house.key, "GET", "v1/usage/current")
    return body["period"], {one["slug"]: one["value"] for one in body["meters"]}


def test_current__each_meter__has_its_figure_of_the_month(house):
    now = datetime.now(UTC)
    meters = {name: define(house.id, name) for name in ("SUM", "COUNT", "AVG", "MAX", "LATEST")}
    unique = define(house.id, "UNIQUE_COUNT")
    for meter in (*meters.values(), unique):
        events = [
            event(meter.slug, value, at=now - timedelta(seconds=9 - value)) for value in (4, 6)
        ]
        report(house.id, *events, event(meter.slug, 100, at=now - timedelta(days=32)))

    _, found = figures(house)

    shown = {name: found[meter.slug] for name, meter in meters.items()}
    assert shown == {"SUM": 10, "COUNT": 2, "AVG": 5, "MAX": 6, "LATEST": 6}
    assert found[unique.slug] == 2
    assert found["api_requests"] == 1


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Chatham"])
def test_current__period__is_the_civil_month_of_the_tenant(zone):
    house = make_house("enterprise", timezone=zone)

    period, _ = figures(house)

    start, end = datetime.fromisoformat(period["from"]), datetime.fromisoformat(period["to"])
    assert period["timezone"] == zone
    assert start <= datetime.now(UTC) < end
    assert 27 < (end - start) / timedelta(days=1) < 32


def test_current__requests__are_the_gates_own_count(house):
    for _ in range(6):
        call(house.key, "GET", "v1/meters")

    assert figures(house)[1]["api_requests"] == 7


def test_current__key_without_the_permission__is_refused(house):
    other = make_key(house.id, ("meters:read",))

    body = call(other, "GET", "v1/usage/current", status=403)

    assert body["code"] == "insufficient_permissions"


def test_current__platform_key_without_a_tenant__must_name_one(house, platform_key):
    call(platform_key, "GET", "v1/usage/current", status=400)
    call(platform_key, "GET", "v1/usage/current", **{"Innkeeper-Tenant": house.public_id})
