"""Overrides: from their first to their last instant, in values and in the gate, without any job."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from audit.models import Event
from billing.catalog.queries import feature_by_key
from billing.entitlements.errors import OverrideOverlapError
from billing.entitlements.models import Mode
from billing.entitlements.services.overrides import NewOverride, grant, pause, revoke
from billing.subscriptions.services import assign
from kernel.errors import Conflict, Invalid
from tests.billing.house import call, make_house, make_key, staff

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(scope="module")
def platform(session_database):
    session_database.ensure()
    return make_key()


def give(house, feature, value, **facts):
    with staff():
        new = NewOverride(
            tenant_id=house.id,
            feature=feature_by_key(feature),
            value=value,
            reason="a promise",
            **facts,
        )
        return grant(new)


def value(house, feature):
    return call(house.key, "GET", f"v1/customers/{house.slug}/entitlements/{feature}/value")


def verify(platform, house, **question):
    return call(platform, "POST", "v1/keys/verify", {"key": house.key, **question})


def soon(seconds=1.0):
    return datetime.now(UTC) + timedelta(seconds=seconds)


def wait_until(instant):
    time.sleep(max((instant - datetime.now(UTC)).total_seconds(), 0) + 0.02)


def test_override__boolean__grants_from_the_next_request_on(platform):
    house = make_house("basic")
    assert verify(platform, house, feature="sso")["code"] == "FEATURE_NOT_IN_PLAN"

    give(house, "sso", True)

    answer = value(house, "sso")
    assert (answer["hasAccess"], answer["source"]) == (True, "override")
    assert verify(platform, house, feature="sso")["code"] == "VALID"


def test_override__false__takes_away_what_the_plan_grants(platform):
    house = make_house("enterprise")

    give(house, "sso", False)

    assert value(house, "sso")["hasAccess"] is False
    assert verify(platform, house, feature="sso")["code"] == "FEATURE_NOT_IN_PLAN"


def test_override__start_and_expiry__hold_at_their_instants_in_value_and_gate(platform):
    house = make_house("basic")
    starts, ends = soon(1.0), soon(2.0)
    give(house, "sso", True, starts_at=starts, expires_at=ends)

    before = value(house, "sso")["hasAccess"], verify(platform, house, feature="sso")["code"]
    wait_until(starts)
    during = value(house, "sso")["hasAccess"], verify(platform, house, feature="sso")["code"]
    wait_until(ends)
    after = verify(platform, house, feature="sso")["code"], value(house, "sso")["hasAccess"]

    assert before == (False, "FEATURE_NOT_IN_PLAN")
    assert during == (True, "VALID")
    assert after == ("FEATURE_NOT_IN_PLAN", False)


def test_override__of_daily_requests__is_the_limit_that_admits(platform):
    house = make_house("basic")
    give(house, "api_requests", {"limit": 3, "period": "day"})

    codes = [verify(platform, house)["code"] for _ in range(4)]

    assert codes == ["VALID", "VALID", "VALID", "USAGE_EXCEEDED"]


def test_override__of_a_quota__raises_its_limit_until_it_expires():
    house = make_house("basic")
    ends = soon(1.0)
    give(house, "processed_units", {"limit": 500_000}, expires_at=ends)

    during = value(house, "processed_units")
    wait_until(ends)
    after = value(house, "processed_units")

    assert during["totalAvailableGrantAmount"] == 500_000
    assert datetime.fromisoformat(during["expiresAt"]) == ends
    assert after["totalAvailableGrantAmount"] == 100_000


def test_override__added__grows_with_an_upgrade():
    house = make_house("basic")
    give(house, "seats", 2, mode=Mode.ADD)
    assert value(house, "seats")["value"] == 7

    with staff():
        assign(house.id, "professional")

    assert value(house, "seats")["value"] == 52


def test_override__paused_and_resumed__is_off_and_on_again(platform):
    house = make_house("basic")
    override = give(house, "sso", True)

    with staff():
        pause(override, paused=True)
    paused = value(house, "sso")["hasAccess"], verify(platform, house, feature="sso")["code"]
    with staff():
        pause(override, paused=False)

    assert paused == (False, "FEATURE_NOT_IN_PLAN")
    assert value(house, "sso")["hasAccess"] is True


def test_override__revoked__is_gone_and_cannot_come_back(platform):
    house = make_house("basic")
    override = give(house, "sso", True)

    with staff():
        revoke(override)

    assert value(house, "sso")["hasAccess"] is False
    assert verify(platform, house, feature="sso")["code"] == "FEATURE_NOT_IN_PLAN"
    with staff(), pytest.raises(Conflict):
        pause(override, paused=False)
    give(house, "sso", True)


def test_override__of_the_same_time__is_refused_and_changes_nothing():
    house = make_house("basic")
    give(house, "seats", 9, expires_at=soon(3600))

    with pytest.raises(OverrideOverlapError):
        give(house, "seats", 10, starts_at=soon(1800))

    assert value(house, "seats")["value"] == 9


def test_override__following_another_without_a_gap__is_allowed():
    house = make_house("basic")
    change = soon(3600)

    give(house, "seats", 9, expires_at=change)
    give(house, "seats", 10, starts_at=change)

    assert value(house, "seats")["value"] == 9


@pytest.mark.parametrize(
    ("feature", "given", "facts"),
    [
        ("seats", "many", {}),
        ("seats", 0, {}),
        ("sso", True, {"mode": Mode.ADD}),
        ("sso", True, {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}),
        ("support_level", "gold", {}),
    ],
)
def test_override__fault_of_form__is_refused(feature, given, facts):
    with pytest.raises(Invalid):
        give(make_house(), feature, given, **facts)


def test_override__granted__is_in_the_tenants_audit_log():
    house = make_house()
    give(house, "seats", 9)

    with staff():
        leaves = [
            bytes(entry.leaf)
            for entry in Event.objects.filter(tenant_id=house.id, action="override.granted")
        ]

    assert len(leaves) == 1
    assert b'"feature":"seats"' in leaves[0]
    assert b"a promise" not in leaves[0]
