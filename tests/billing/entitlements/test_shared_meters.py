"""Features that count the same meter: whose limit guards whose use."""

import pytest

from billing.catalog.models import Feature, Kind
from billing.catalog.queries import feature_by_key
from billing.entitlements.models import Override
from billing.entitlements.services.overrides import NewOverride, grant, revoke
from kernel.ids import new_id
from tests.billing.entitlements.quotas import metered_feature
from tests.billing.house import call, change_of, make_house, make_key, staff

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(scope="module")
def pair(session_database):
    """Two features of one meter, which no plan grants."""
    session_database.ensure()
    first, second = metered_feature(), f"g{new_id().hex}"
    with staff(), change_of("feature"):
        Feature(key=second, name=second, kind=Kind.METERED, meter=first).save()
    return first, second


@pytest.fixture
def house():
    return make_house("basic")


def give(house, feature, amount):
    with staff():
        given = {"limit": str(amount)}
        grant(
            NewOverride(
                tenant_id=house.id, feature=feature_by_key(feature), value=given, reason="test"
            )
        )


def act(house, feature, verb, body, status=200):
    path = f"v1/customers/{house.slug}/entitlements/{feature}/{verb}"
    return call(house.key, "POST", path, body, status=status)


@pytest.mark.parametrize("place", [0, 1])
def test_consume__other_feature_of_the_meter_is_not_granted__is_guarded_by_its_own_limit(
    house, pair, place
):
    mine = pair[place]
    give(house, mine, 10)

    used = act(house, mine, "consume", {"quantity": 10})
    refused = act(house, mine, "consume", {"quantity": 1}, status=409)

    assert (used["limit"], used["remaining"]) == (10, 0)
    assert refused["extensions"]["feature"] == mine


def test_consume__feature_that_is_not_granted__is_refused_for_its_own_sake(house, pair):
    give(house, pair[0], 10)

    refused = act(house, pair[1], "consume", {"quantity": 1}, status=409)

    assert (refused["extensions"]["feature"], refused["extensions"]["limit"]) == (pair[1], "0")


def test_consume__both_granted__is_guarded_by_the_tighter_limit(house, pair):
    give(house, pair[0], 10)
    give(house, pair[1], 4)

    act(house, pair[0], "consume", {"quantity": 4})
    refused = act(house, pair[0], "consume", {"quantity": 1}, status=409)

    assert refused["extensions"]["feature"] == pair[1]


def test_consume__grant_of_the_other_feature_is_taken_back__is_free_of_its_limit(house, pair):
    give(house, pair[0], 10)
    give(house, pair[1], 0)
    act(house, pair[0], "consume", {"quantity": 1}, status=409)

    with staff():
        revoke(Override.objects.get(feature=feature_by_key(pair[1]), tenant_id=house.id))

    act(house, pair[0], "consume", {"quantity": 10})


def test_commit__other_feature_of_the_meter_is_not_granted__may_use_more_than_was_held(house, pair):
    give(house, pair[0], 10)
    held = act(house, pair[0], "reserve", {"quantity": 4}, status=201)

    used = act(house, pair[0], "commit", {"reservation": held["id"], "quantity": 9})

    assert (used["used"], used["remaining"]) == (9, 1)


@pytest.mark.parametrize("granted", [True, False])
def test_verify__of_the_meter__is_guarded_by_what_is_granted_and_refused_without(
    house, pair, granted
):
    if granted:
        give(house, pair[0], 10)
    question = {"key": house.key, "meter": {"slug": pair[0], "quantity": 1}}

    answer = call(make_key(), "POST", "v1/keys/verify", question)

    assert answer["code"] == ("VALID" if granted else "USAGE_EXCEEDED")
