"""Many features of many customers in one call, in a constant number of statements."""

from datetime import UTC, datetime

import pytest

from billing.entitlements.queries.many import known, values_of
from kernel import db
from kernel.ids import new_id
from tests.billing.entitlements.quotas import limit
from tests.billing.house import call, make_house, make_key, staff

pytestmark = pytest.mark.usefixtures("database")

KEYS = ["processed_units", "api_requests", "seats", "sso", "unheard_of"]


@pytest.fixture(scope="module")
def platform(session_database):
    session_database.ensure()
    return make_key()


def ask(key, customers, features=None, status=200, **headers):
    body = {"customers": customers}
    if features is not None:
        body["features"] = features
    return call(key, "POST", "v1/access/query", body, status=status, **headers)


def value(house, feature, key):
    return call(key, "GET", f"v1/customers/{house.slug}/entitlements/{feature}/value")


def use(house, quantity):
    event = {"id": new_id().hex, "source": "t", "type": "processed_units", "subject": "s",
             "data": {"quantity": quantity}}  # fmt: skip
    call(house.key, "POST", "v1/events", event, status=204)


def steady(answer):
    """Leave out what depends on the instant of asking."""
    return {k: v for k, v in answer.items() if k not in ("exhaustedAt", "remainingSeconds")}


def test_access_query__platform_key__gives_what_each_value_route_gives(platform):
    houses = [make_house("basic"), make_house("professional"), make_house("enterprise")]
    limit(houses[0], 10)
    use(houses[0], 4)
    use(houses[1], "0.5")

    answer = ask(platform, [houses[0].slug, houses[1].public_id, houses[2].slug], KEYS)

    by_id = {one["id"]: one for one in answer["customers"]}
    assert answer["notFound"] == []
    for house in houses:
        found = by_id[house.public_id]
        assert (found["key"], list(found["entitlements"])) == (house.slug, KEYS)
        assert {key: steady(one) for key, one in found["entitlements"].items()} == {
            key: steady(value(house, key, platform)) for key in KEYS
        }
    assert by_id[houses[0].public_id]["entitlements"]["processed_units"]["usage"] == 4


def test_access_query__without_features__gives_all_that_is_granted(platform):
    house = make_house("basic")

    granted = ask(platform, [house.slug])["customers"][0]["entitlements"]

    access = call(house.key, "GET", f"v1/customers/{house.slug}/access")["entitlements"]
    assert set(granted) == set(access)
    assert granted["seats"] == access["seats"]


def test_access_query__tenant_key__finds_itself_and_nobody_else(platform):
    house, other = make_house("basic"), make_house("basic")

    answer = ask(house.key, [other.slug, house.slug, other.public_id, "nobody"], ["seats"])

    assert [one["id"] for one in answer["customers"]] == [house.public_id]
    assert answer["notFound"] == [other.slug, other.public_id, "nobody"]


def test_access_query__platform_key_that_names_a_tenant__acts_for_it_alone(platform):
    house, other = make_house("basic"), make_house("basic")

    answer = ask(
        platform, [house.slug, other.slug], ["seats"], **{"Innkeeper-Tenant": house.public_id}
    )

    assert [one["key"] for one in answer["customers"]] == [house.slug]
    assert answer["notFound"] == [other.slug]


def test_access_query__windows_that_nobody_has_opened__are_opened(platform):
    house = make_house("basic")
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute("DELETE FROM gate.quota WHERE tenant_id = %s", [house.id])

    answer = ask(platform, [house.slug], ["processed_units"])

    assert answer["customers"][0]["entitlements"]["processed_units"]["balance"] == 100_000


@pytest.mark.parametrize(
    "body",
    [
        {"customers": []},
        {"customers": ["a"] * 101},
        {"customers": ["a"], "features": ["x"] * 101},
        {"customers": ["a"], "features": []},
        {"customers": ["a"], "feature": ["x"]},
        {},
    ],
)
def test_access_query__bad_body__is_400(platform, body):
    call(platform, "POST", "v1/access/query", body, status=400)


def test_values_of__more_tenants__take_no_more_statements():
    houses = [make_house("basic") for _ in range(5)]
    for house in houses:
        use(house, 1)

    assert _statements(houses) == _statements(houses[:1])


def _statements(houses):
    counted = []

    def count(execute, sql, params, many, context):
        counted.append(sql)
        return execute(sql, params, many, context)

    with staff():
        values_of(known([houses[0].id], []), KEYS, datetime.now(UTC))  # plans are read once
        with db.connection().execute_wrapper(count):
            values_of(known([house.id for house in houses], []), KEYS, datetime.now(UTC))
    return len(counted)


def test_value__used_within_the_hour__says_when_it_runs_out(platform):
    house = make_house("basic")
    limit(house, 100, period="month")
    use(house, 60)

    answer = value(house, "processed_units", house.key)
    consumed = call(
        house.key,
        "POST",
        f"v1/customers/{house.slug}/entitlements/processed_units/consume",
        {"quantity": 1},
    )

    # 60 within 45 to 60 minutes, so 40 more last half an hour to 40 minutes.
    assert 1800 <= answer["remainingSeconds"] <= 2400
    assert answer["exhaustedAt"] < answer["resetAt"]
    assert 1750 <= consumed["remainingSeconds"] <= 2350


def test_value__unused_of_late__does_not_run_out(platform):
    house = make_house("basic")
    limit(house, 100)

    answer = value(house, "processed_units", house.key)

    assert "exhaustedAt" not in answer
    assert answer["resetAt"]
