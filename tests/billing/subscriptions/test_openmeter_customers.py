"""The real OpenMeter client, unmodified, makes and keeps customers and features, reads events."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from corehttp.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from openmeter import Client

from billing.catalog.queries import feature_by_key
from billing.entitlements.jobs import on_feature_archived
from billing.entitlements.services import project
from billing.entitlements.services.overrides import NewOverride, grant
from kernel import db
from kernel.events.registry import Delivery
from kernel.ids import new_id
from tests.billing.house import call, make_house, make_key, serving, staff

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(scope="module")
def address(session_database):
    session_database.ensure()
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def operator(address):
    with Client(endpoint=address, token=make_key()) as client:
        yield client


def word(prefix="c"):
    return f"{prefix}{new_id().hex[-12:]}"


def made(operator, **facts):
    return operator.customers.create({"name": "Acme", "key": word(), **facts})


def test_customers__create__is_a_tenant_with_all_that_was_said(operator):
    key, subject = word(), word("s/")
    customer = operator.customers.create(
        {
            "name": "Acme Inc.",
            "key": key,
            "usageAttribution": {"subjectKeys": [subject]},
            "primaryEmail": "pay@acme.example",
            "currency": "EUR",
            "billingAddress": {"country": "DE", "line1": "Weg 1"},
            "metadata": {"crm": "17"},
            "description": "A customer",
        }
    )

    assert (customer.key, customer.name, customer.currency) == (key, "Acme Inc.", "EUR")
    assert list(customer.usage_attribution.subject_keys) == [subject]
    assert customer.billing_address.line1 == "Weg 1"
    assert dict(customer.metadata) == {"crm": "17"}
    assert customer.current_subscription_id.startswith("sub_")
    read = operator.customers.get(customer.id, expand=["subscriptions"])
    assert (read.primary_email, read.description) == ("pay@acme.example", "A customer")
    assert read.subscriptions[0].plan.key == "basic"
    assert operator.customer.get_customer_access(key).entitlements["seats"].has_access


def test_customers__create_without_a_key__makes_one_of_the_name(operator):
    customer = operator.customers.create({"name": "Über GmbH & Co."})

    assert customer.key.startswith("ber-gmbh-co-")


def test_customers__taken_key_or_bad_body__are_the_clients_errors(operator):
    customer = made(operator)

    with pytest.raises(ResourceExistsError):
        made(operator, key=customer.key)
    for facts in ({"key": "Not A Key"}, {"currency": "euro"}, {"name": " "}):
        with pytest.raises(HttpResponseError) as refused:
            made(operator, **facts)
        assert refused.value.status_code == 400


def test_customers__update__replaces_everything_that_may_change(operator):
    customer = made(operator, primaryEmail="old@acme.example", metadata={"a": "1"})
    subject = word("s")

    changed = operator.customers.update(
        customer.key,
        {"name": "Other", "usageAttribution": {"subjectKeys": [subject]}, "currency": "USD"},
    )

    assert (changed.name, changed.key) == ("Other", customer.key)
    assert list(changed.usage_attribution.subject_keys) == [subject]
    assert changed.primary_email is None
    assert dict(changed.metadata or {}) == {}
    with pytest.raises(ResourceExistsError):
        operator.customers.update(customer.id, {"name": "Other", "key": word()})


def test_customers__subject_of_another__is_refused_until_it_is_free(operator):
    subject = word("s")
    first = made(operator, usageAttribution={"subjectKeys": [subject]})

    with pytest.raises(ResourceExistsError):
        made(operator, usageAttribution={"subjectKeys": [subject]})
    assert operator.customers.delete(first.id) is None

    second = made(operator, usageAttribution={"subjectKeys": [subject]})
    assert list(second.usage_attribution.subject_keys) == [subject]


def test_customers__delete__is_soft_and_ends_access(operator):
    customer = made(operator)

    operator.customers.delete(customer.key)

    assert operator.customers.get(customer.id).deleted_at is not None
    assert operator.customers.list(key=customer.key).total_count == 0
    assert operator.customers.list(key=customer.key, include_deleted=True).total_count == 1
    with pytest.raises(HttpResponseError) as gone:
        operator.customer.get_customer_access(customer.key)
    assert gone.value.status_code == 412
    with pytest.raises(HttpResponseError) as gone:
        operator.customers.update(customer.key, {"name": "Again"})
    assert gone.value.status_code == 412


def test_customers__list__filters_and_pages_as_the_client_asks(operator):
    mark = word("m")
    customers = [
        made(operator, name=f"{mark} {place}", primaryEmail=f"{mark}@{place}.example")
        for place in range(3)
    ]

    page = operator.customers.list(
        name=mark, page=2, page_size=2, order="DESC", order_by="name", expand=["subscriptions"]
    )
    by_email = operator.customers.list(primary_email=f"{mark}@1")

    assert (page.total_count, page.page, page.page_size) == (3, 2, 2)
    assert [one.name for one in page.items_property] == [f"{mark} 0"]
    assert [one.id for one in by_email.items_property] == [customers[1].id]


def test_customers__tenant_key__keeps_its_own_profile_and_nothing_of_the_operators(address):
    house, other = make_house("basic"), make_house("basic")
    name = house.slug.upper()
    with Client(endpoint=address, token=house.key) as client:
        mine = client.customers.update(house.slug, {"name": name, "primaryEmail": "me@x.example"})
        assert mine.primary_email == "me@x.example"
        for body in (
            {"name": "Mine now"},
            {"name": name, "currency": "EUR"},
            {"name": name, "usageAttribution": {"subjectKeys": [word("s")]}},
        ):
            with pytest.raises(HttpResponseError) as refused:
                client.customers.update(house.slug, body)
            assert refused.value.status_code == 403
        with pytest.raises(ResourceNotFoundError):
            client.customers.update(other.slug, {"name": name})
        for act in (
            lambda: client.customers.create({"name": "More"}),
            lambda: client.customers.delete(house.slug),
        ):
            with pytest.raises(HttpResponseError) as refused:
                act()
            assert refused.value.status_code == 403


def test_features__create_get_list_archive__round_trip(operator):
    key = word("f")
    feature = operator.features.create(
        {"key": key, "name": "Tokens", "meterSlug": "processed_units", "metadata": {"a": "b"}}
    )

    assert (feature.key, feature.meter_slug) == (key, "processed_units")
    assert operator.features.get(feature.id).key == key
    assert key in [one["key"] for one in operator.features.list(meter_slug=["processed_units"])]
    with pytest.raises(ResourceExistsError):
        operator.features.create({"key": key, "name": "Again"})

    assert operator.features.delete(feature.id) is None

    assert key not in [one["key"] for one in operator.features.list()]
    archived = operator.features.list(include_archived=True)
    assert key in [one["key"] for one in archived]


def test_features__bad_ones__are_refused(operator, address):
    for facts in (
        {"key": "Bad Key"},
        {"meterSlug": "unheard_of"},
        {"meterSlug": "api_requests"},
        {"meterSlug": "processed_units", "meterGroupByFilters": {"model": "x"}},
    ):
        with pytest.raises(HttpResponseError) as refused:
            operator.features.create({"key": word("f"), "name": "x", **facts})
        assert refused.value.status_code == 400
    with pytest.raises(ResourceExistsError):
        operator.features.delete("api_requests")
    with Client(endpoint=address, token=make_house().key) as tenant:
        with pytest.raises(HttpResponseError) as refused:
            tenant.features.create({"key": word("f"), "name": "x"})
        assert refused.value.status_code == 403


def test_events_v2__filters_and_cursor__go_through_all_events(address):
    house = make_house("enterprise")
    kind = word("k")
    start = datetime.now(UTC) - timedelta(minutes=10)
    events = [
        {
            "specversion": "1.0",
            "id": f"{kind}-{place}",
            "source": f"src{place % 2}",
            "type": kind,
            "subject": "ann's" if place < 5 else "bob",
            "time": (start + timedelta(seconds=place)).isoformat(),
            "data": {"n": place},
        }
        for place in range(7)
    ]
    with Client(endpoint=address, token=house.key) as client:
        client.events.ingest_events(events)

        def ids(**asked):
            return [one.event.id for one in client.events_v2.list(**asked)]

        everything = ids(limit=2, filter={"type": {"$eq": kind}})
        assert everything == [f"{kind}-{place}" for place in reversed(range(7))]
        some = {"type": {"$eq": kind}, "source": {"$in": ["src0"]}, "subject": {"$like": "ann%"}}
        assert ids(filter=some) == [f"{kind}-{place}" for place in (4, 2, 0)]
        late = {"time": {"$and": [{"$gte": events[3]["time"]}, {"$lt": events[5]["time"]}]}}
        assert ids(filter=late) == [f"{kind}-4", f"{kind}-3"]
        mine = {"customerId": {"$in": [house.public_id]}, "id": {"$ilike": f"{kind.upper()}-6"}}
        assert ids(filter=mine) == [f"{kind}-6"]
        with pytest.raises(HttpResponseError) as unknown:
            ids(filter={"colour": {"$eq": "red"}})
        assert unknown.value.status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        "cursor=nonsense",
        "limit=0",
        "filter=" + json.dumps({"time": {"$like": "x"}}),
        "filter=" + json.dumps({"time": {"$gt": "yesterday"}}),
        "filter=" + json.dumps({"customerId": {"$ne": "x"}}),
        "filter=[]",
    ],
)
def test_events_v2__malformed__is_400(query):
    call(make_house().key, "GET", f"v2/events?{query}", status=400)


def test_features__with_group_filters__count_only_these_groups(operator):
    house, slug, key = make_house("basic"), word("m"), word("f")
    operator.meters.create(
        {
            "slug": slug,
            "aggregation": "SUM",
            "eventType": slug,
            "valueProperty": "$.n",
            "groupBy": {"model": "$.model"},
        }
    )
    operator.features.create(
        {"key": key, "name": "x", "meterSlug": slug, "meterGroupByFilters": {"model": "big"}}
    )
    with staff():
        feature = feature_by_key(key)
        grant(NewOverride(tenant_id=house.id, feature=feature, value={"limit": 10}, reason="t"))
    for place, (model, amount) in enumerate([("big", 4), ("small", 100), ("big", 3)]):
        operator.events.ingest_event(
            {"id": f"{slug}{place}", "source": "t", "specversion": "1.0", "type": slug,
             "subject": house.slug, "data": {"n": amount, "model": model}}
        )  # fmt: skip

    value = operator.customer_entitlement.get_customer_entitlement_value(house.slug, key)
    many = call(
        make_key(), "POST", "v1/access/query", {"customers": [house.slug], "features": [key]}
    )

    assert (value.usage, value.balance, value.has_access) == (7.0, 3.0, True)
    assert many["customers"][0]["entitlements"][key]["usage"] == 7
    assert dict(operator.features.get(key).meter_group_by_filters) == {"model": "big"}
    path = f"v1/customers/{house.slug}/entitlements/{key}/consume"
    assert call(house.key, "POST", path, {"quantity": 1})["used"] == 8
    assert call(house.key, "POST", path, {"quantity": 3}, status=409)["code"] == "quota_exceeded"


def test_features__archived__is_taken_from_those_who_have_it(operator):
    house, key = make_house("basic"), word("f")
    operator.features.create({"key": key, "name": "x"})
    with staff():
        feature = feature_by_key(key)
        grant(NewOverride(tenant_id=house.id, feature=feature, value=True, reason="t"))
    assert operator.customer_entitlement.get_customer_entitlement_value(house.slug, key).has_access

    operator.features.delete(key)
    with staff(), db.atomic():
        archived = Delivery(
            new_id(), "feature.archived", None, datetime.now(UTC), {"feature": key}, 1
        )
        on_feature_archived(archived)
        with db.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM kernel_outbox WHERE name = 'job.requested'"
                " AND payload->>'arguments' LIKE %s",
                [f"%{house.id}%"],
            )
            assert cursor.fetchone()[0] >= 1
    with staff():
        project(house.id)

    value = operator.customer_entitlement.get_customer_entitlement_value(house.slug, key)
    assert not value.has_access
