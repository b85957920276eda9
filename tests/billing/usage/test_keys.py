"""Requests by key: the gate's own numbers."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.billing.house import call, make_house, make_key

PATH = "v1/usage/keys"


def issue(key: str, name: str) -> tuple[str, str]:
    """Give a new key of the tenant and its id."""
    permissions = ["usage:read", "meters:read"]
    made = call(key, "POST", "v1/keys", {"name": name, "permissions": permissions}, 201)
    return made["key"], made["id"]


def test_keys__each__has_its_requests_and_all_are_the_meter(house):
    busy, busy_id = issue(house.key, "Busy")
    quiet, quiet_id = issue(house.key, "Quiet")
    for _ in range(5):
        call(busy, "GET", "v1/meters")
    call(quiet, "GET", "v1/meters")

    body = call(house.key, "GET", PATH)

    rows = {row["id"]: row for row in body["keys"]}
    assert body["keys"][0] == {"id": busy_id, "name": "Busy", "requests": 5, "share": 0.5556}
    assert (rows[quiet_id]["name"], rows[quiet_id]["requests"]) == ("Quiet", 1)
    # Two keys made and this question, by a key that the gate alone knows.
    assert sorted(row["requests"] for row in rows.values()) == [1, 3, 5]
    assert (body["requests"], body["others"]) == (9, 0)
    [meter] = call(house.key, "GET", "v1/usage/analytics?meter=api_requests")["meters"]
    assert meter["value"] == 10


def test_keys__more_than_asked_for__are_summed_up(house):
    other, _ = issue(house.key, "Other")
    for _ in range(4):
        call(other, "GET", "v1/meters")

    body = call(house.key, "GET", f"{PATH}?limit=1")

    assert ([row["requests"] for row in body["keys"]], body["others"]) == ([4], 2)


def test_keys__revoked__keeps_what_it_used(house):
    other, other_id = issue(house.key, "Former")
    call(other, "GET", "v1/meters")
    call(house.key, "POST", f"v1/keys/{other_id}/revoke", {})

    assert ("Former", 1) in [
        (row["name"], row["requests"]) for row in call(house.key, "GET", PATH)["keys"]
    ]


def test_keys__range__is_counted_in_whole_quarter_hours(house):
    call(house.key, "GET", "v1/meters")
    now = datetime.now(UTC)

    def asked(start: datetime, end: datetime) -> int:
        query = f"from={start:%Y-%m-%dT%H:%M:%SZ}&to={end:%Y-%m-%dT%H:%M:%SZ}"
        return call(house.key, "GET", f"{PATH}?{query}")["requests"]

    assert asked(now - timedelta(days=2), now - timedelta(days=1)) == 0
    assert asked(now - timedelta(minutes=20), now + timedelta(minutes=20)) == 3


def test_keys__of_another_tenant__are_not_there(house):
    other = make_house("enterprise")
    call(other.key, "GET", "v1/meters")

    assert call(house.key, "GET", PATH)["requests"] == 1


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "from=x", "from=2999-01-01T00:00:00Z"])
def test_keys__malformed_question__is_named(house, query):
    body = call(house.key, "GET", f"{PATH}?{query}", status=400)

    assert body["errors"][0]["pointer"] == f"/query/{query.partition('=')[0]}"


@pytest.mark.parametrize("path", [PATH, "v1/usage/features"])
def test_usage__without_the_permission_or_a_tenant__is_refused(house, platform_key, path):
    call(make_key(house.id, ("meters:read",)), "GET", path, status=403)
    call(platform_key, "GET", path, status=400)
    call(platform_key, "GET", path, **{"Innkeeper-Tenant": house.public_id})
