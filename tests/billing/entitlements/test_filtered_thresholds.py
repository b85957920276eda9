"""Thresholds of features that count only some groups of a meter."""

from datetime import UTC, datetime

import pytest

from billing.catalog.models import Feature, Kind
from billing.catalog.queries import feature_by_key
from billing.entitlements.services.overrides import NewOverride, grant
from billing.usage.models import Meter
from kernel.gate import quota
from kernel.ids import new_id
from tests.billing.entitlements.test_thresholds import look, told
from tests.billing.house import call, change_of, make_house, staff

pytestmark = pytest.mark.usefixtures("database")


def filtered_feature():
    """Make a feature that counts the region eu of a meter of its own; give its key."""
    key = f"f{new_id().hex}"
    with staff(), change_of("feature"):
        Meter(
            slug=key, event_type=key, aggregation="SUM", value_property="$.n", value_path=["n"],
            group_by={"region": "$.region"}, group_paths=["{region}"],
            ready=True,
        ).save()  # fmt: skip
        Feature(
            key=key, name=key, kind=Kind.METERED, meter=key,
            group_filters={"region": {"$eq": "eu"}},
        ).save()  # fmt: skip
    return key


def grant_limit(house, key, amount):
    with staff():
        value = {"limit": str(amount)}
        feature = feature_by_key(key)
        grant(NewOverride(tenant_id=house.id, feature=feature, value=value, reason="test"))


@pytest.fixture
def house():
    return make_house("basic")


@pytest.fixture
def feature(house):
    key = filtered_feature()
    grant_limit(house, key, 10)
    look(house)
    return key


def report(house, key, region, amount):
    event = {"id": new_id().hex, "source": "t", "type": key, "subject": "s",
             "data": {"n": amount, "region": region}}  # fmt: skip
    call(house.key, "POST", "v1/events", event, status=204)


def test_thresholds__of_some_groups__are_told_by_the_use_of_these(house, feature):
    report(house, feature, "us", 500)
    look(house)
    assert told(house, feature) == []

    for amount in (4, 1, 3, 2):
        report(house, feature, "eu", amount)
        report(house, feature, "us", 7)
        look(house)

    assert told(house, feature) == [(50, 5, 10), (80, 8, 10), (100, 10, 10)]


def test_thresholds__of_some_groups_alarm_that_is_handled_late__misses_none(house, feature):
    report(house, feature, "us", 1)
    look(house)
    report(house, feature, "eu", 9)
    report(house, feature, "us", 1)
    look(house)

    assert told(house, feature) == [(50, 9, 10), (80, 9, 10)]


def test_window__of_some_groups__refuses_nothing_and_shows_only_its_own(house, feature):
    report(house, feature, "us", 500)
    report(house, feature, "eu", 2)

    with staff():
        standings = quota.standings(house.id, datetime.now(UTC), feature=feature)
    assert standings[feature].hard_limit is None
    path = f"v1/customers/{house.slug}/entitlements/{feature}/value"
    value = call(house.key, "GET", path)
    assert (value["usage"], value["balance"], value["hasAccess"]) == (2, 8, True)
