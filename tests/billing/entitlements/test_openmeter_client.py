"""The real client, openmeter 1.0.0b236, unmodified, sync and async, reads what billing answers."""

import asyncio
from datetime import UTC, datetime

import pytest
from corehttp.exceptions import HttpResponseError, ResourceNotFoundError
from openmeter import Client
from openmeter.aio import Client as AsyncClient

from tests.billing.house import call, make_house, make_key, serving

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(scope="module")
def address(session_database):
    session_database.ensure()
    with serving() as address:
        yield address


@pytest.fixture
def house():
    return make_house("basic")


@pytest.fixture
def client(address, house):
    with Client(endpoint=address, token=house.key) as client:
        yield client


def use(house, quantity):
    event = {"id": "1", "source": "t", "type": "processed_units", "subject": "s",
             "data": {"quantity": quantity}}  # fmt: skip
    call(house.key, "POST", "v1/events", event, status=204)


def test_value__metered__is_read_with_all_members(client, house):
    use(house, 1.5)

    value = client.customer_entitlement.get_customer_entitlement_value(
        house.slug, "processed_units"
    )

    assert value.has_access is True
    assert (value.usage, value.balance, value.overage) == (1.5, 99998.5, 0.0)
    assert value.total_available_grant_amount == 100_000.0
    assert value["usageDecimal"] == "1.5"


def test_value__static__has_a_config_that_is_json(client, house):
    value = client.customer_entitlement.get_customer_entitlement_value(house.public_id, "seats")

    assert (value.has_access, value.config) == (True, '{"value":5}')


def test_value__unknown_feature__has_no_access(client, house):
    value = client.customer_entitlement.get_customer_entitlement_value(house.slug, "unheard_of")

    assert value.has_access is False
    assert value.balance is None


def test_value__time__is_taken(client, house):
    value = client.customer_entitlement.get_customer_entitlement_value(
        house.slug, "processed_units", time=datetime.now(UTC)
    )

    assert value.usage == 0.0


def test_value__v2__has_grant_balances(client, house):
    value = client.customer_entitlement_v2.get_customer_entitlement_value(
        house.slug, "processed_units"
    )

    assert value.has_access is True
    assert list(value.grant_balances.values()) == [100_000.0]


def test_access__customer__maps_features_to_values(client, house):
    access = client.customer.get_customer_access(house.slug)

    assert access.entitlements["seats"].config == '{"value":5}'
    assert access.entitlements["processed_units"].balance == 100_000.0
    assert "sso" not in access.entitlements


def test_value__another_tenant__raises_not_found(client):
    with pytest.raises(ResourceNotFoundError):
        client.customer_entitlement.get_customer_entitlement_value(make_house().slug, "seats")


def test_customers__list_and_get__are_models(client, house):
    page = client.customers.list(page=1, page_size=10, expand=["subscriptions"])
    customer = client.customers.get(house.public_id)

    assert page.total_count == 1
    assert page.items_property[0].subscriptions[0].plan.key == "basic"
    assert (customer.key, customer.name) == (house.slug, house.slug.upper())
    assert customer.created_at.tzinfo is not None


def test_features__list_and_get__are_read(client):
    keys = [feature["key"] for feature in client.features.list()]
    page = client.features.list(page=1, page_size=3)
    feature = client.features.get("processed_units")

    assert "processed_units" in keys
    assert len(page["items"]) == 3
    assert feature.meter_slug == "processed_units"


def test_plans__list__is_iterated(client):
    # Other tests publish plans of their own.
    shipped = {"basic", "professional", "enterprise"}
    plans = [plan for plan in client.plans.list() if plan.key in shipped]

    assert [plan.key for plan in plans] == ["basic", "professional", "enterprise"]
    assert plans[0].phases[0].rate_cards[0]["price"]["amount"] == "49.00"


def test_subjects__upsert_get_list_delete__round_trip(client):
    client.subjects.upsert([{"key": "a/b", "displayName": "A"}])

    assert client.subjects.get("a/b").display_name == "A"
    assert [subject.key for subject in client.subjects.list()] == ["a/b"]
    client.subjects.delete("a/b")
    with pytest.raises(ResourceNotFoundError):
        client.subjects.get("a/b")


def test_subjects__bad_body__raises_once_with_the_problem(client):
    with pytest.raises(HttpResponseError) as refused:
        client.subjects.upsert([{"key": ""}])

    assert refused.value.status_code == 400
    assert refused.value.model.type.endswith("/problems/invalid_subject")


def test_platform_token__any_customer__is_read(address, house):
    with Client(endpoint=address, token=make_key()) as client:
        value = client.customer_entitlement.get_customer_entitlement_value(house.slug, "seats")
        found = client.customers.list(key=house.slug)

    assert value.config == '{"value":5}'
    assert [customer.key for customer in found.items_property] == [house.slug]


def test_async_client__value_access_and_customer__are_the_same(address, house):
    async def read():
        async with AsyncClient(endpoint=address, token=house.key) as client:
            value = await client.customer_entitlement.get_customer_entitlement_value(
                house.slug, "processed_units"
            )
            access = await client.customer.get_customer_access(house.slug)
            customer = await client.customers.get(house.slug)
            return value, access, customer

    value, access, customer = asyncio.run(read())

    assert value.balance == 100_000.0
    assert access.entitlements["support_level"].has_access is True
    assert customer.id == house.public_id
