"""keys/verify against plans: the feature part, and the meter part against the quota's lock."""

import threading
from decimal import Decimal

import pytest

from billing.catalog.queries import feature_fact
from billing.entitlements.errors import QuotaUsedUpError
from billing.entitlements.services import use
from billing.subscriptions.services import assign
from kernel import db
from kernel.tenancy import tenant_context
from tenants.services import suspend
from tests.billing.entitlements.quotas import limit, metered, value
from tests.billing.house import call, make_house, make_key, staff

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(scope="module")
def platform(session_database):
    session_database.ensure()
    return make_key()


def verify(platform, house, **question):
    return call(platform, "POST", "v1/keys/verify", {"key": house.key, **question})


def use_meter(quantity, slug="processed_units"):
    return {"meter": {"slug": slug, "quantity": quantity}}


@pytest.mark.parametrize(
    ("plan", "feature", "code"),
    [
        ("basic", "sso", "FEATURE_NOT_IN_PLAN"),
        ("enterprise", "sso", "VALID"),
        ("basic", "seats", "VALID"),
        ("basic", "processed_units", "VALID"),
        ("enterprise", "nothing", "FEATURE_NOT_IN_PLAN"),
    ],
)
def test_feature__of_a_plan__decides(platform, plan, feature, code):
    assert verify(platform, make_house(plan), feature=feature)["code"] == code


def test_feature__after_a_change_of_plan__decides_from_the_next_call_on(platform):
    house = make_house("basic")
    assert verify(platform, house, feature="custom_roles")["valid"] is False

    with staff():
        assign(house.id, "professional")

    assert verify(platform, house, feature="custom_roles")["valid"] is True


def test_meter__within_the_quota__is_used_and_shown(platform):
    house = make_house("basic")
    limit(house, 10)

    answer = verify(platform, house, **use_meter("2.5"))

    assert answer["code"] == "VALID"
    assert value(house)["usageDecimal"] == "2.5"
    assert metered(house) == Decimal("2.5")


def test_meter__repeated_with_an_idempotency_key__is_used_once_and_decided_anew(platform):
    house = make_house("basic")
    limit(house, 10)
    body = {"key": house.key, **use_meter(10)}

    answers = [
        call(platform, "POST", "v1/keys/verify", body, **{"Idempotency-Key": "order 7"})
        for _ in range(3)
    ]

    assert [answer["code"] for answer in answers] == ["VALID"] * 3
    assert metered(house) == Decimal(10)
    assert verify(platform, house, **use_meter(1))["code"] == "USAGE_EXCEEDED"
    with staff():
        suspend(house.id, reason="unpaid")
    again = call(platform, "POST", "v1/keys/verify", body, **{"Idempotency-Key": "order 7"})
    assert again["code"] == "TENANT_SUSPENDED"


def test_meter__other_key_or_other_body__is_another_use(platform):
    house = make_house("basic")
    limit(house, 10)

    for key, quantity in (("a", 1), ("b", 1), ("a", 2)):
        body = {"key": house.key, **use_meter(quantity)}
        call(platform, "POST", "v1/keys/verify", body, **{"Idempotency-Key": key})

    assert metered(house) == Decimal(4)


def test_meter__beyond_the_quota__is_refused_and_uses_nothing(platform):
    house = make_house("basic")
    limit(house, 10)
    verify(platform, house, **use_meter(9))

    refused = verify(platform, house, **use_meter(2))
    admitted = verify(platform, house, **use_meter(1))

    assert (refused["valid"], refused["code"]) == (False, "USAGE_EXCEEDED")
    quota = next(one for one in refused["limits"] if one["name"] == "processed_units")
    assert (quota["limit"], quota["remaining"], quota["exceeded"]) == (10, 1, True)
    assert admitted["code"] == "VALID"
    assert metered(house) == 10


def test_meter__held_by_reservations__is_not_there(platform):
    house = make_house("basic")
    limit(house, 10)
    path = f"v1/customers/{house.slug}/entitlements/processed_units/reserve"
    call(house.key, "POST", path, {"quantity": 8}, status=201)

    assert verify(platform, house, **use_meter(3))["code"] == "USAGE_EXCEEDED"
    assert verify(platform, house, **use_meter(2))["code"] == "VALID"


def test_meter__unlimited_plan__is_counted_without_a_cap(platform):
    house = make_house("enterprise")

    assert verify(platform, house, **use_meter(5_000_000))["code"] == "VALID"
    assert value(house)["usage"] == 5_000_000


def test_meter__without_a_feature__is_counted_without_a_cap(platform):
    house = make_house("basic")
    meter = {"slug": f"m_{house.slug[2:]}", "aggregation": "SUM", "eventType": house.slug}
    call(house.key, "POST", "v1/meters", {**meter, "valueProperty": "$.value"}, status=201)

    assert verify(platform, house, **use_meter(7, meter["slug"]))["code"] == "VALID"
    rows = call(house.key, "GET", f"v1/meters/{meter['slug']}/query")["data"]
    assert [row["value"] for row in rows] == [7]


def test_meter__verify_and_consume_at_once__share_one_quota_to_the_unit(platform):
    house = make_house("enterprise")
    limit(house, 50)
    with staff():
        feature = feature_fact("processed_units")
    admitted, failures = [], []

    def verifying():
        answers = (verify(platform, house, **use_meter(1)) for _ in range(20))
        admitted.extend(1 for answer in answers if answer["valid"])

    def consuming():
        with tenant_context(house.id):
            for _ in range(20):
                try:
                    use.consume(house.id, feature, Decimal(1))
                    admitted.append(1)
                except QuotaUsedUpError:
                    pass

    def guarded(work):
        try:
            work()
        except Exception as error:  # noqa: BLE001 - collected and asserted on
            failures.append(error)
        finally:
            db.connection().close()

    works = [verifying, consuming, verifying, consuming]
    threads = [threading.Thread(target=guarded, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(admitted) == 50
    assert metered(house) == 50
    assert value(house)["remaining"] == 0
