"""Consuming features that count some groups of a meter: exact, and counted where it should."""

import threading
from decimal import Decimal

import pytest
from django.test import Client

from billing.catalog.models import Feature, Kind
from billing.catalog.queries import feature_by_key
from billing.entitlements.services.overrides import NewOverride, grant
from billing.usage.models import Meter
from kernel.ids import new_id
from tests.billing.house import call, change_of, make_house, make_key, staff

pytestmark = pytest.mark.usefixtures("database")

MODEL, REGION = "model", "region"


@pytest.fixture(scope="module")
def meter(session_database):
    """A meter with two groups, one of them deep in the data."""
    session_database.ensure()
    key = f"m{new_id().hex}"
    with staff(), change_of("feature"):
        Meter(
            slug=key, event_type=key, aggregation="SUM", value_property="$.use.n",
            value_path=["use", "n"],
            group_by={MODEL: "$.use.model", REGION: "$.region"},
            group_paths=["{use,model}", "{region}"], ready=True,
        ).save()  # fmt: skip
    return key


def feature_of(meter, filters):
    key = f"f{new_id().hex}"
    with staff(), change_of("feature"):
        Feature(key=key, name=key, kind=Kind.METERED, meter=meter, group_filters=filters).save()
    return key


@pytest.fixture
def house():
    return make_house("basic")


def give(house, feature, amount, **facts):
    with staff():
        value = {"limit": str(amount), **facts}
        found = feature_by_key(feature)
        grant(NewOverride(tenant_id=house.id, feature=found, value=value, reason="test"))


def consume(house, feature, quantity, *, status=200, key=None, headers=None, **groups):
    path = f"v1/customers/{house.slug}/entitlements/{feature}/consume"
    body = {"quantity": quantity, **({"groups": groups} if groups else {})}
    return call(key or house.key, "POST", path, body, status=status, **(headers or {}))


def usage(house, feature):
    path = f"v1/customers/{house.slug}/entitlements/{feature}/value"
    return call(house.key, "GET", path)["usage"]


def test_consume__filter_says_one_value__is_counted_there_and_refused_beyond(house, meter):
    feature = feature_of(meter, {MODEL: {"$eq": "big"}})
    give(house, feature, 10)

    used = consume(house, feature, 7)
    refused = consume(house, feature, "3.5", status=409)
    rest = consume(house, feature, 3)

    assert (used["used"], used["limit"], used["remaining"]) == (7, 10, 3)
    assert (refused["code"], refused["extensions"]["used"]) == ("quota_exceeded", "7")
    assert rest["remaining"] == 0
    assert usage(house, feature) == 10
    (event, _) = call(house.key, "GET", "v1/events")
    assert event["event"]["data"] == {"use": {"n": "3", "model": "big"}}


def test_consume__filter_with_several_values__needs_one_of_them(house, meter):
    feature = feature_of(meter, {MODEL: {"$in": ["big", "huge"]}})
    give(house, feature, 10)

    missing = consume(house, feature, 1, status=400)
    wrong = consume(house, feature, 1, status=400, model="small")
    consume(house, feature, 4, model="huge")
    consume(house, feature, 6, model="big")
    consume(house, feature, 1, status=409, model="big")

    assert [(one["code"], one["errors"][0]["pointer"]) for one in (missing, wrong)] == [
        ("group_required", "/groups/model"),
        ("group_not_counted", "/groups/model"),
    ]
    assert usage(house, feature) == 10


def test_consume__group_that_the_meter_does_not_have__is_400(house, meter):
    feature = feature_of(meter, {MODEL: {"$eq": "big"}})
    give(house, feature, 10)

    problem = consume(house, feature, 1, status=400, colour="red")

    fault = problem["errors"][0]
    assert (problem["code"], fault["pointer"]) == ("unknown_meter_group", "/groups/colour")


def test_consume__groups_of_two_features__must_fit_both(house, meter):
    big = feature_of(meter, {MODEL: {"$eq": "big"}})
    home = feature_of(meter, {REGION: {"$ne": "abroad"}})
    give(house, big, 10)
    give(house, home, 4)

    consume(house, big, 4, region="here")
    refused = consume(house, big, 1, status=409, region="here")
    consume(house, big, 6, region="abroad")

    assert refused["extensions"]["feature"] == home
    assert (usage(house, big), usage(house, home)) == (10, 4)


def test_consume__whole_meter_has_a_tighter_limit__is_refused_by_that(house, meter):
    whole = feature_of(meter, {})
    big = feature_of(meter, {MODEL: {"$eq": "big"}})
    give(house, whole, 5)
    give(house, big, 10)

    consume(house, whole, 3)
    refused = consume(house, big, 3, status=409)
    consume(house, big, 2)

    assert refused["extensions"]["feature"] == whole
    assert (usage(house, whole), usage(house, big)) == (5, 2)


def test_consume__of_the_whole_meter_in_a_group__counts_against_the_groups_limit(house, meter):
    whole = feature_of(meter, {})
    big = feature_of(meter, {MODEL: {"$eq": "big"}})
    give(house, whole, 100)
    give(house, big, 10)

    refused = consume(house, whole, 11, status=409, model="big")
    consume(house, whole, 11, model="small")

    assert refused["extensions"]["feature"] == big
    assert usage(house, big) == 0


def test_consume__soft_limit_of_groups__is_admitted_and_shown(house, meter):
    feature = feature_of(meter, {MODEL: {"$eq": "big"}})
    give(house, feature, 10, soft=True)

    used = consume(house, feature, 15)

    assert used["used"] == 15
    assert usage(house, feature) == 15


def test_consume__feature_of_groups_that_is_not_granted__is_refused(house, meter):
    feature = feature_of(meter, {MODEL: {"$eq": "big"}})

    refused = consume(house, feature, 1, status=409)

    assert refused["extensions"]["limit"] == "0"


def test_consume__repeated_with_its_key__counts_once_whoever_asks(house, meter):
    feature = feature_of(meter, {MODEL: {"$eq": "big"}})
    give(house, feature, 10)
    for key in (house.key, make_key()):
        once = {"Idempotency-Key": "once"}
        first = consume(house, feature, 2, key=key, headers=once)
        assert consume(house, feature, 2, key=key, headers=once) == first
        consume(house, feature, 3, status=422, key=key, headers=once)

    assert usage(house, feature) == 4


def test_reserve__feature_of_groups__is_refused_and_says_why(house, meter):
    feature = feature_of(meter, {MODEL: {"$eq": "big"}})
    give(house, feature, 10)
    path = f"v1/customers/{house.slug}/entitlements/{feature}/reserve"

    problem = call(house.key, "POST", path, {"quantity": 1}, status=400)

    assert (problem["code"], "groups" in problem["detail"]) == ("not_consumable", True)


def test_consume__many_for_the_last_units_of_groups__overshoot_nothing(house, meter):
    big = feature_of(meter, {MODEL: {"$in": ["big", "huge"]}})
    whole = feature_of(meter, {})
    give(house, big, 15)
    give(house, whole, 1000)
    taken = []

    def work(place):
        for turn in range(8):
            feature = big if turn % 2 else whole
            model = ("big", "huge")[place % 2]
            answer = Client().post(
                f"/api/v1/customers/{house.slug}/entitlements/{feature}/consume",
                {"quantity": 1, "groups": {MODEL: model}},
                content_type="application/json",
                headers={"Authorization": f"Bearer {house.key}"},
            )
            taken.append(answer.status_code)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert (taken.count(200), taken.count(409)) == (15, 17)
    assert usage(house, big) == Decimal(15)
