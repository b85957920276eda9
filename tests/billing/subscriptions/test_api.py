"""Plans, customers and subjects over HTTP."""

import pytest

from kernel.ids import encode, new_id
from tests.billing.house import call, make_house, make_key

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(scope="module")
def platform(session_database):
    session_database.ensure()
    return make_key()


def test_plans__listed__hold_limits_and_features_cheapest_first():
    page = call(make_house().key, "GET", "v1/plans")

    plans = {plan["key"]: plan for plan in page["items"]}
    # Other tests publish plans of their own.
    shipped = [key for key in plans if key in ("basic", "professional", "enterprise")]
    assert shipped == ["basic", "professional", "enterprise"]
    assert plans["basic"]["limits"] == {
        "daily_requests": 1_000,
        "daily_webhooks": 1_000,
        "burst": {"rate": 20, "depth": 40},
    }
    assert plans["enterprise"]["limits"]["daily_requests"] == {"unlimited": True}
    assert plans["professional"]["features"]["seats"] == 50
    assert plans["professional"]["features"]["processed_units"] == {
        "limit": "2000000",
        "period": "month",
    }
    assert page["next"] is None


def test_plan_of_tenant__put_and_read__names_plan_version_and_start(platform):
    house = make_house("basic")
    path = f"v1/admin/tenants/{house.public_id}/plan"

    put = call(platform, "PUT", path, {"plan": "enterprise"})

    assert (put["tenant"], put["plan"], put["version"]) == (house.public_id, "enterprise", 1)
    assert put["limits"]["daily_webhooks"] == {"unlimited": True}
    assert call(platform, "GET", path) == put


def test_plan_of_tenant__put_twice__keeps_the_subscription(platform):
    house = make_house("basic")
    path = f"v1/admin/tenants/{house.public_id}/plan"

    assert call(platform, "PUT", path, {"plan": "professional"}) == call(
        platform, "PUT", path, {"plan": "professional"}
    )


@pytest.mark.parametrize("body", [{"plan": "platinum"}, {"plan": 5}, {}, {"plan": "basic", "x": 1}])
def test_plan_of_tenant__bad_body__is_400_and_changes_nothing(platform, body):
    house = make_house("basic")
    path = f"v1/admin/tenants/{house.public_id}/plan"

    call(platform, "PUT", path, body, status=400)

    assert call(platform, "GET", path)["plan"] == "basic"


def test_plan_of_tenant__unknown_tenant__is_404(platform):
    for tenant in (encode("ten", new_id()), "acme"):
        call(platform, "PUT", f"v1/admin/tenants/{tenant}/plan", {"plan": "basic"}, status=404)


def test_plan_of_tenant__tenants_own_key__is_refused_and_changes_nothing(platform):
    house = make_house("basic")
    path = f"v1/admin/tenants/{house.public_id}/plan"

    call(house.key, "PUT", path, {"plan": "enterprise"}, status=403)

    assert call(platform, "GET", path)["plan"] == "basic"


def test_plan_of_tenant__platform_key_that_may_only_read__is_refused():
    house = make_house("basic")
    path = f"v1/admin/tenants/{house.public_id}/plan"
    reader = make_key(permissions=("plans:read",))

    call(reader, "PUT", path, {"plan": "enterprise"}, status=403)

    assert call(reader, "GET", path)["plan"] == "basic"


def test_customers__tenant_key__sees_itself_only():
    house = make_house()
    make_house()

    page = call(house.key, "GET", "v1/customers")

    assert (page["totalCount"], page["page"], page["pageSize"]) == (1, 1, 100)
    assert [one["id"] for one in page["items"]] == [house.public_id]


def test_customers__platform_key__finds_and_filters(platform):
    house, other = make_house("basic"), make_house("professional")

    by_key = call(platform, "GET", f"v1/customers?key={house.slug}")
    wrong_plan = call(platform, "GET", f"v1/customers?key={house.slug}&planKey=professional")
    right_plan = call(platform, "GET", f"v1/customers?key={other.slug}&planKey=professional")

    assert [one["key"] for one in by_key["items"]] == [house.slug]
    assert wrong_plan["items"] == []
    assert [one["id"] for one in right_plan["items"]] == [other.public_id]


def test_customers__small_pages__cover_everything_once(platform):
    slugs = {make_house().slug for _ in range(3)}
    prefix = "t-"

    found, page = [], 1
    while True:
        path = f"v1/customers?key={prefix}&pageSize=2&page={page}&orderBy=createdAt&order=DESC"
        answer = call(platform, "GET", path)
        found += [one["key"] for one in answer["items"]]
        if len(found) >= 4 or not answer["items"]:
            break
        page += 1

    assert slugs <= set(found)
    assert len(found) == len(set(found))


def test_customer__expanded__holds_its_subscriptions(platform):
    house = make_house("basic")
    path = f"v1/customers/{house.slug}?expand=subscriptions"

    customer = call(house.key, "GET", path)

    assert customer["currentSubscriptionId"] == customer["subscriptions"][0]["id"]
    assert customer["subscriptions"][0]["plan"]["key"] == "basic"
    assert customer["currency"] == "USD"


def test_customer__another_tenants__is_404():
    house, other = make_house(), make_house()

    for customer in (other.slug, other.public_id, "nobody", encode("ten", new_id())):
        call(house.key, "GET", f"v1/customers/{customer}", status=404)


@pytest.mark.parametrize("query", ["page=0", "pageSize=1001", "orderBy=plan", "order=up"])
def test_customers__bad_parameter__is_400(platform, query):
    call(platform, "GET", f"v1/customers?{query}", status=400)


def test_subjects__upserted__keep_what_is_absent_and_clear_what_is_null():
    house = make_house()
    given = {"key": "u/1", "displayName": "Ada", "metadata": {"a": 1}, "stripeCustomerId": "cus"}
    call(house.key, "POST", "v1/subjects", [given])

    (changed,) = call(house.key, "POST", "v1/subjects", [{"key": "u/1", "metadata": None}])

    assert changed["displayName"] == "Ada"
    assert changed["stripeCustomerId"] == "cus"
    assert "metadata" not in changed
    assert call(house.key, "GET", "v1/subjects/u%2F1") == changed
    assert call(house.key, "GET", f"v1/subjects/{changed['id']}") == changed


def test_subjects__deleted__are_gone():
    house = make_house()
    call(house.key, "POST", "v1/subjects", [{"key": "gone"}, {"key": "kept"}])

    call(house.key, "DELETE", "v1/subjects/gone", status=204)

    call(house.key, "GET", "v1/subjects/gone", status=404)
    assert [one["key"] for one in call(house.key, "GET", "v1/subjects")] == ["kept"]


def test_subjects__another_tenants__are_invisible_and_untouched():
    house, other = make_house(), make_house()
    call(house.key, "POST", "v1/subjects", [{"key": "same", "displayName": "mine"}])
    call(other.key, "POST", "v1/subjects", [{"key": "same", "displayName": "theirs"}])

    call(other.key, "DELETE", "v1/subjects/same", status=204)

    assert call(other.key, "GET", "v1/subjects") == []
    assert call(house.key, "GET", "v1/subjects/same")["displayName"] == "mine"


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"key": "a"},
        [{"key": ""}],
        [{"key": "x" * 257}],
        [{"key": "a"}, {"key": "a"}],
        [{"displayName": "no key"}],
        [
            {
                "key": "a",
                "currentPeriodStart": "2026-02-01T00:00:00Z",
                "currentPeriodEnd": "2026-01-01T00:00:00Z",
            }
        ],
    ],
)
def test_subjects__bad_body__is_400_and_writes_nothing(body):
    house = make_house()

    call(house.key, "POST", "v1/subjects", body, status=400)

    assert call(house.key, "GET", "v1/subjects") == []


def test_subjects__platform_key_naming_a_tenant__attributes_its_events(platform):
    house = make_house("basic")
    subject = f"dev-{new_id().hex}"
    named = {"Innkeeper-Tenant": house.public_id}
    call(platform, "POST", "v1/subjects", [{"key": subject}], **named)
    event = {
        "id": "1",
        "source": subject,
        "type": "processed_units",
        "subject": subject,
        "data": {"quantity": 11},
    }

    call(platform, "POST", "v1/events", event, status=204)

    path = f"v1/customers/{house.slug}/entitlements/processed_units/value"
    assert call(house.key, "GET", path)["usage"] == 11
    customer = call(platform, "GET", f"v1/customers/{house.slug}")
    assert customer["usageAttribution"] == {"subjectKeys": [subject]}


def test_subjects__of_another_customer__are_409_and_stay_there(platform):
    house, other = make_house(), make_house()
    subject = f"dev-{new_id().hex}"
    mine = {"Innkeeper-Tenant": house.public_id}
    theirs = {"Innkeeper-Tenant": other.public_id}
    call(platform, "POST", "v1/subjects", [{"key": subject}], **mine)

    call(platform, "POST", "v1/subjects", [{"key": subject}], status=409, **theirs)

    assert call(other.key, "GET", "v1/subjects") == []
    assert len(call(house.key, "GET", "v1/subjects")) == 1


def test_subjects__platform_key_without_a_tenant__describes_one_of_nobody(platform):
    subject = f"dev-{new_id().hex}"

    call(platform, "POST", "v1/subjects", [{"key": subject, "displayName": "Dev"}])

    assert call(platform, "GET", f"v1/subjects/{subject}")["displayName"] == "Dev"
    call(make_house().key, "GET", f"v1/subjects/{subject}", status=404)
