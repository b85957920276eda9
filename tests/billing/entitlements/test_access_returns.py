"""When access returns: at the end of the period, with a grant, a planned limit or a reservation."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.catalog.models.recurrence import Cadence
from billing.catalog.queries import feature_by_key
from billing.entitlements.services.overrides import NewOverride, grant
from tests.billing.entitlements.quotas import limit, metered_feature
from tests.billing.entitlements.test_grant_races import entitle, give
from tests.billing.house import call, make_house, staff

pytestmark = pytest.mark.usefixtures("database")

SHIPPED = "processed_units"


@pytest.fixture
def house():
    return make_house("basic")


@pytest.fixture(scope="module")
def feature(session_database):
    session_database.ensure()
    key = metered_feature()
    with staff():
        return feature_by_key(key)


def act(house, verb, body, status, key=SHIPPED):
    path = f"v1/customers/{house.slug}/entitlements/{key}/{verb}"
    return call(house.key, "POST", path, body, status=status)


def override(house, amount, **times):
    with staff():
        grant(
            NewOverride(
                tenant_id=house.id, feature=feature_by_key(SHIPPED), reason="test",
                value={"limit": str(amount)}, **times,
            )
        )  # fmt: skip


def returns(house, key=SHIPPED, quantity=1):
    """When access returns, as a refusal and the value say alike."""
    refused = act(house, "consume", {"quantity": quantity}, 409, key)["extensions"]
    value = call(house.key, "GET", f"v1/customers/{house.slug}/entitlements/{key}/value")
    assert value["hasAccess"] is False
    assert refused.get("accessReturnsAt") == value.get("accessReturnsAt")
    at = value.get("accessReturnsAt")
    return None if at is None else datetime.fromisoformat(at), value


def test_returns__plain_limit_used_up__is_the_next_period(house):
    limit(house, 5)
    act(house, "consume", {"quantity": 5}, 200)

    at, value = returns(house)

    assert at == datetime.fromisoformat(value["resetAt"])


def test_returns__reservation_holds_the_rest__is_its_expiry(house):
    limit(house, 5)
    act(house, "reserve", {"quantity": 4, "ttlSeconds": 3600}, 201)
    held = act(house, "reserve", {"quantity": 1, "ttlSeconds": 600}, 201)

    at, _ = returns(house)

    assert at == datetime.fromisoformat(held["expiresAt"])


def test_returns__limit_of_nothing__is_never(house):
    limit(house, 0)

    at, _ = returns(house)

    assert at is None


def test_returns__more_is_planned__is_when_it_starts(house):
    planned = datetime.now(UTC) + timedelta(seconds=90)
    override(house, 5, expires_at=planned)
    override(house, 9, starts_at=planned)
    act(house, "consume", {"quantity": 5}, 200)

    at, _ = returns(house)

    assert at == planned


def test_returns__grant_starts_later_in_the_period__is_its_start(house, feature):
    entitle(house, feature, issue=2)
    later = datetime.now(UTC) + timedelta(minutes=2)
    give(house, feature, 3, effective_at=later.replace(second=0, microsecond=0))
    act(house, "consume", {"quantity": 2}, 200, feature.key)

    at, value = returns(house, feature.key)

    assert at == later.replace(second=0, microsecond=0)
    assert at < datetime.fromisoformat(value["resetAt"])


def test_returns__grant_recurs__is_its_next_time(house, feature):
    entitle(house, feature)
    now = datetime.now(UTC)
    give(house, feature, 3, cadence=Cadence.parse("DAY"), anchor=now)
    act(house, "consume", {"quantity": 3}, 200, feature.key)

    at, _ = returns(house, feature.key)

    assert now < at <= now + timedelta(days=1)


def test_returns__grants_held_by_a_reservation__is_its_expiry(house, feature):
    entitle(house, feature, issue=Decimal(4))
    held = act(house, "reserve", {"quantity": 4, "ttlSeconds": 60}, 201, feature.key)

    at, _ = returns(house, feature.key)

    assert at == datetime.fromisoformat(held["expiresAt"])
