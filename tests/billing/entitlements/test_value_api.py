"""Entitlement values over HTTP: exact, visible at once, for those who may see them."""

from datetime import UTC, datetime

import pytest

from billing.subscriptions.services import assign
from kernel.ids import encode, new_id
from tenants.services import close, suspend
from tests.billing.house import call, make_house, make_key, staff

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(scope="module")
def platform(session_database):
    session_database.ensure()
    return make_key()


def value(house, feature, status=200, *, key=None, customer=None, version="v1"):
    path = f"{version}/customers/{customer or house.public_id}/entitlements/{feature}/value"
    return call(key or house.key, "GET", path, status=status)


def use(house, quantity, **facts):
    event = {
        "id": str(new_id()),
        "source": "test",
        "type": "processed_units",
        "subject": "s",
        "data": {"quantity": quantity},
    }
    call(house.key, "POST", "v1/events", event | facts, status=204)


def test_value__granted_boolean__has_access():
    house = make_house("enterprise")

    assert value(house, "sso") == {"hasAccess": True, "source": "plan", "type": "boolean"}


def test_value__boolean_that_the_plan_denies__has_none():
    assert value(make_house("basic"), "sso")["hasAccess"] is False


def test_value__unknown_feature__is_no_access_and_no_error():
    assert value(make_house(), "no_such_feature") == {"hasAccess": False}


@pytest.mark.parametrize(
    ("plan", "feature", "config", "given"),
    [
        ("basic", "seats", '{"value":5}', 5),
        ("enterprise", "seats", '{"unlimited":true}', {"unlimited": True}),
        ("basic", "support_level", '{"value":"community"}', "community"),
        ("basic", "export_formats", '{"formats":["csv"]}', {"formats": ["csv"]}),
    ],
)
def test_value__static__holds_an_object_as_config_and_the_value(plan, feature, config, given):
    answer = value(make_house(plan), feature)

    assert (answer["hasAccess"], answer["type"]) == (True, "static")
    assert (answer["config"], answer["value"]) == (config, given)


def test_value__metered_after_use__counts_to_the_last_digit_at_once():
    house = make_house("basic")
    use(house, "0.1")
    use(house, 2)

    answer = value(house, "processed_units")

    assert answer["usageDecimal"] == "2.1"
    assert answer["balanceDecimal"] == "99997.9"
    assert (answer["usage"], answer["balance"], answer["overage"]) == (2.1, 99997.9, 0)
    assert answer["totalAvailableGrantAmount"] == 100_000
    assert (answer["hasAccess"], answer["unlimited"], answer["softLimit"]) == (True, False, False)


def test_value__metered__names_the_month_of_the_tenants_zone():
    house = make_house("basic", timezone="Asia/Kathmandu")

    answer = value(house, "processed_units")

    assert answer["period"] == "month"
    assert answer["periodStart"].endswith("T18:15:00Z")
    assert answer["resetAt"].endswith("T18:15:00Z")


def test_value__used_up__has_no_access_and_tells_the_overage():
    house = make_house("basic")
    use(house, 100_000.5)

    answer = value(house, "processed_units")

    assert (answer["hasAccess"], answer["balance"]) == (False, 0)
    assert (answer["overage"], answer["overageDecimal"]) == (0.5, "0.5")


def test_value__unlimited__leaves_out_what_has_no_bound():
    house = make_house("enterprise")
    use(house, 7)

    answer = value(house, "processed_units")

    assert (answer["hasAccess"], answer["unlimited"], answer["usage"]) == (True, True, 7)
    assert "balance" not in answer
    assert "totalAvailableGrantAmount" not in answer


def test_value__late_event_of_another_month__counts_there_and_not_here():
    house = make_house("basic")
    use(house, 5, time="2026-01-15T00:00:00Z")

    assert value(house, "processed_units")["usage"] == 0


def test_value__repeated_event__counts_once():
    house = make_house("basic")
    use(house, 5, id="same")
    use(house, 5, id="same")

    assert value(house, "processed_units")["usage"] == 5


def test_value__api_requests__is_the_counter_that_admits():
    house = make_house("basic")
    first = value(house, "api_requests")
    second = value(house, "api_requests")

    assert (first["usage"], second["usage"]) == (1, 2)
    assert second["totalAvailableGrantAmount"] == 1_000
    assert second["period"] == "day"


def test_value__plan_changed__holds_from_the_next_request_on():
    house = make_house("basic")
    use(house, 3)
    assert value(house, "sso")["hasAccess"] is False
    assert value(house, "processed_units")["totalAvailableGrantAmount"] == 100_000

    with staff():
        assign(house.id, "professional")

    answer = value(house, "processed_units")
    assert (answer["totalAvailableGrantAmount"], answer["usage"]) == (2_000_000, 3)
    assert value(house, "custom_roles")["hasAccess"] is True


def test_value__time_in_the_past__is_counted_up_to_that_instant():
    house = make_house("basic")
    now = datetime.now(UTC)
    use(house, 4)

    path = f"v1/customers/{house.slug}/entitlements/processed_units/value"
    before = call(house.key, "GET", f"{path}?time={now.isoformat().replace('+00:00', 'Z')}")

    assert before["usage"] == 0


def test_value__by_slug__is_the_same_as_by_id():
    house = make_house("basic")

    assert value(house, "seats", customer=house.slug) == value(house, "seats")


def test_value__platform_key__reads_any_tenant_by_id_and_by_slug(platform):
    house = make_house("basic")
    use(house, 9)

    by_id = value(house, "processed_units", key=platform)
    by_slug = value(house, "processed_units", key=platform, customer=house.slug)

    assert by_id["usage"] == by_slug["usage"] == 9


def test_value__v2__adds_grant_balances_to_metered_values_only():
    house = make_house("basic")

    assert "grantBalances" in value(house, "processed_units", version="v2")
    assert "grantBalances" not in value(house, "sso", version="v2")


def problem_of(answer):
    return {name: text for name, text in answer.items() if name not in ("request_id", "instance")}


def test_value__another_tenant_and_nobody__are_the_same_404():
    house, other = make_house(), make_house()

    unknown_id = problem_of(value(house, "sso", 404, customer=encode("ten", new_id())))
    foreign_id = problem_of(value(house, "sso", 404, customer=other.public_id))
    unknown_slug = problem_of(value(house, "sso", 404, customer="nobody-at-all"))
    foreign_slug = problem_of(value(house, "sso", 404, customer=other.slug))

    assert unknown_id == foreign_id == unknown_slug == foreign_slug


def test_value__platform_key_and_unknown_customer__is_404(platform):
    house = make_house()

    for customer in ("nobody-at-all", encode("ten", new_id())):
        assert value(house, "sso", 404, key=platform, customer=customer)["status"] == 404


def test_value__platform_key_naming_another_tenant_in_the_header__is_404(platform):
    house, other = make_house(), make_house()
    path = f"v1/customers/{house.public_id}/entitlements/sso/value"

    call(platform, "GET", path, status=404, **{"Innkeeper-Tenant": other.public_id})


def test_value__deleted_customer__is_412_for_the_operator_and_gone_for_itself(platform):
    house = make_house("basic")
    with staff():
        close(house.id, reason="left")

    for customer in (house.public_id, house.slug):
        problem = value(house, "seats", 412, key=platform, customer=customer)
        assert problem["code"] == "customer_deleted"
    value(house, "seats", 404)
    path = f"v1/customers/{house.slug}/entitlements/processed_units/consume"
    call(platform, "POST", path, {"quantity": 1}, status=412)


def test_value__suspended_customer__is_read_by_the_operator_and_refused_to_itself(platform):
    house = make_house("basic")
    with staff():
        suspend(house.id, reason="unpaid")

    assert value(house, "seats", key=platform)["value"] == 5
    value(house, "seats", 403)


def test_value__key_without_the_permission__is_403():
    house = make_house()

    value(house, "sso", 403, key=make_key(house.id, ("plans:read",)))


def test_access__basic_plan__lists_what_is_granted():
    house = make_house("basic")
    use(house, 2)

    entitlements = call(house.key, "GET", f"v1/customers/{house.slug}/access")["entitlements"]

    assert sorted(entitlements) == [
        "api_requests",
        "audit_retention_days",
        "export_formats",
        "processed_units",
        "seats",
        "support_level",
        "webhook_endpoints",
        "webhook_events",
    ]
    assert entitlements["processed_units"]["usage"] == 2
    assert entitlements["webhook_events"]["totalAvailableGrantAmount"] == 1_000
