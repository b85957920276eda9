"""The real client, openmeter 1.0.0b236, unmodified, manages entitlements and grants."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from corehttp.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from openmeter import Client
from openmeter import models as om
from openmeter.aio import Client as AsyncClient

from tests.billing.entitlements.quotas import metered_feature
from tests.billing.house import call, make_house, make_key, serving

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(scope="module")
def address(session_database):
    session_database.ensure()
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def operator(session_database):
    session_database.ensure()
    return make_key()


@pytest.fixture(scope="module")
def feature(session_database):
    session_database.ensure()
    return metered_feature()


@pytest.fixture
def house():
    return make_house("basic")


@pytest.fixture
def client(address, operator):
    with Client(endpoint=address, token=operator) as client:
        yield client


def soon():
    return datetime.now(UTC)


def metered(feature, **facts):
    return om.EntitlementMeteredV2CreateInputs(
        type="metered",
        feature_key=feature,
        usage_period=om.RecurringPeriodCreateInput(interval="MONTH"),
        **facts,
    )


def use(house, feature, quantity, status=200):
    path = f"v1/customers/{house.slug}/entitlements/{feature}/consume"
    return call(house.key, "POST", path, {"quantity": quantity}, status=status)


def test_entitlement__metered__is_created_read_and_listed(client, house, feature):
    made = client.customer_entitlements_v2.post(
        house.slug, metered(feature, issue_after_reset=100, metadata={"sold": "yes"})
    )
    read = client.customer_entitlements_v2.get(house.slug, feature)
    by_id = client.entitlements_v2.get(made["id"])
    page = client.customer_entitlements_v2.list(house.public_id)

    assert made["id"] == read["id"] == by_id["id"]
    assert (made["type"], made["featureKey"], made["customerId"]) == (
        "metered", feature, house.public_id,
    )  # fmt: skip
    assert made["issueAfterReset"] == 100
    assert made["usagePeriod"]["interval"] == "MONTH"
    assert made["usagePeriod"]["intervalISO"] == "P1M"
    assert made["currentUsagePeriod"]["from"] == made["lastReset"] == made["measureUsageFrom"]
    assert made["metadata"] == {"sold": "yes"}
    assert made["id"] in [item["id"] for item in page.items_property]
    assert page.total_count == len(page.items_property)


def test_entitlement__twice__conflicts_and_names_the_other(client, house, feature):
    made = client.customer_entitlements_v2.post(house.slug, metered(feature))

    with pytest.raises(ResourceExistsError) as refused:
        client.customer_entitlements_v2.post(house.slug, metered(feature))

    problem = refused.value.response.json()
    assert problem["extensions"]["conflictingEntityId"] == made["id"]


def test_entitlement__overridden__begins_anew_without_the_old_grants(client, house, feature):
    old = client.customer_entitlements_v2.post(house.slug, metered(feature, issue_after_reset=5))
    use(house, feature, 5)

    new = client.customer_entitlements_v2.override(
        house.slug, feature, metered(feature, issue_after_reset=7)
    )

    value = client.customer_entitlement_v2.get_customer_entitlement_value(house.slug, feature)
    assert new["id"] != old["id"]
    assert (value.balance, value.usage) == (7.0, 0.0)


def test_entitlement__deleted__has_no_access(client, house, feature):
    client.customer_entitlements_v2.post(house.slug, metered(feature, issue_after_reset=5))

    client.customer_entitlements_v2.delete(house.slug, feature)

    value = client.customer_entitlement_v2.get_customer_entitlement_value(house.slug, feature)
    assert value.has_access is False
    with pytest.raises(ResourceNotFoundError):
        client.customer_entitlements_v2.get(house.slug, feature)
    use(house, feature, 1, 409)


def test_grants__created__are_listed_burnt_in_order_and_voided(client, house, feature):
    client.customer_entitlements_v2.post(house.slug, metered(feature, issue_after_reset=10))
    first = client.customer_entitlement_v2.create_customer_entitlement_grant(
        house.slug,
        feature,
        om.EntitlementGrantCreateInputV2(
            amount=4,
            priority=0,
            effective_at=soon(),
            expiration=om.ExpirationPeriod(duration="DAY", count=30),
            metadata={"order": "17"},
        ),
    )
    second = client.customer_entitlement_v2.create_customer_entitlement_grant(
        house.slug, feature, om.EntitlementGrantCreateInputV2(amount=2, effective_at=soon())
    )
    use(house, feature, 5)

    value = client.customer_entitlement_v2.get_customer_entitlement_value(house.slug, feature)
    page = client.customer_entitlement_v2.get_grants(house.slug, feature)
    client.grants.delete(second.id)
    after = client.customer_entitlement_v2.get_customer_entitlement_value(house.slug, feature)

    assert first.expires_at == first.effective_at + timedelta(days=30)
    assert (first.max_rollover_amount, first.min_rollover_amount) == (4.0, 0.0)
    assert value.balance == 11.0
    assert value.total_available_grant_amount == 16.0
    assert value["grantBalances"][first.id] == 0
    assert sorted(value["grantBalances"].values()) == [0, 2, 9]
    assert [item.amount for item in page.items_property] == [10.0, 4.0, 2.0]
    assert after.balance == 9.0
    every = client.grants_v2.list(customer=[house.slug], include_deleted=True)
    assert [item.voided_at is None for item in every.items_property] == [True, False]


def test_grant__that_recurs__says_when_next(client, house, feature):
    client.customer_entitlements_v2.post(house.slug, metered(feature))
    made = client.customer_entitlement_v2.create_customer_entitlement_grant(
        house.slug,
        feature,
        om.EntitlementGrantCreateInputV2(
            amount=3,
            effective_at=soon(),
            recurrence=om.RecurringPeriodCreateInput(interval="WEEK"),
        ),
    )

    assert made.recurrence.interval == "WEEK"
    assert made.next_recurrence == made.effective_at + timedelta(days=7)


def test_reset__by_hand__rolls_grants_over(client, house, feature):
    client.customer_entitlements_v2.post(
        house.slug,
        metered(
            feature,
            issue_after_reset=10,
            grants=[
                om.EntitlementGrantCreateInputV2(
                    amount=20,
                    priority=9,
                    effective_at=soon(),
                    max_rollover_amount=6,
                )
            ],
        ),
    )
    use(house, feature, 12)

    client.customer_entitlement_v2.reset_customer_entitlement(
        house.slug, feature, om.ResetEntitlementUsageInput(retain_anchor=True)
    )

    value = client.customer_entitlement_v2.get_customer_entitlement_value(house.slug, feature)
    assert (value.balance, value.usage) == (16.0, 0.0)


def test_history__after_use_and_reset__shows_windows_and_segments(client, house, feature):
    began = soon()
    client.customer_entitlements_v2.post(house.slug, metered(feature, issue_after_reset=10))
    use(house, feature, 4)
    client.customer_entitlement_v2.reset_customer_entitlement(
        house.slug, feature, om.ResetEntitlementUsageInput()
    )
    use(house, feature, 3)

    history = client.customer_entitlement_v2.get_customer_entitlement_history(
        house.slug, feature, window_size="DAY", from_parameter=began
    )

    segments = history.burndown_history
    assert [(one.usage, one.balance_at_start, one.balance_at_end) for one in segments] == [
        (4.0, 10.0, 6.0), (3.0, 10.0, 7.0),
    ]  # fmt: skip
    assert sum(one.usage for one in history.windowed_history) == 7.0
    assert history.windowed_history[0].balance_at_start == 10.0
    assert segments[0].grant_usages[0].usage == 4.0


def test_grant__before_the_period__is_refused(client, house, feature):
    client.customer_entitlements_v2.post(house.slug, metered(feature))

    with pytest.raises(HttpResponseError) as refused:
        client.customer_entitlement_v2.create_customer_entitlement_grant(
            house.slug,
            feature,
            om.EntitlementGrantCreateInputV2(amount=1, effective_at=soon() - timedelta(days=40)),
        )

    assert refused.value.status_code == 400


def test_plan__its_own_amount__is_a_grant(client, house):
    page = client.customer_entitlements_v2.list(house.slug)
    grants = client.customer_entitlement_v2.get_grants(house.slug, "processed_units")
    value = client.customer_entitlement_v2.get_customer_entitlement_value(
        house.slug, "processed_units"
    )

    planned = {item["featureKey"]: item for item in page.items_property}
    assert planned["processed_units"]["source"] == "plan"
    assert planned["seats"]["config"] == '{"value":5}'
    assert [item.amount for item in grants.items_property] == [100_000.0]
    assert value["grantBalances"] == {grants.items_property[0].id: 100_000.0}


def test_entitlement__static__over_the_async_client__shows_its_config(address, operator, house):
    async def run():
        async with AsyncClient(endpoint=address, token=operator) as client:
            await client.customer_entitlements_v2.override(
                house.slug,
                "seats",
                om.EntitlementStaticCreateInputs(
                    type="static", feature_key="seats", config='{"value":12}'
                ),
            )
            return await client.customer_entitlement_v2.get_customer_entitlement_value(
                house.slug, "seats"
            )

    value = asyncio.run(run())

    assert (value.has_access, value.config) == (True, '{"value":12}')


def test_version_1__by_subject__does_the_same(client, operator, house, feature):
    base = f"v1/subjects/{house.slug}/entitlements"
    body = {"type": "metered", "featureKey": feature, "usagePeriod": {"interval": "DAY"}}
    made = call(operator, "POST", base, body, status=201)
    given = {"amount": 5, "effectiveAt": soon().isoformat(),
             "expiration": {"duration": "HOUR", "count": 2}}  # fmt: skip
    grant = call(operator, "POST", f"{base}/{feature}/grants", given, status=201)

    assert made["subjectKey"] == house.slug
    assert call(operator, "GET", f"{base}/{feature}/grants") == [grant]
    assert grant["maxRolloverAmount"] == 0
    assert call(operator, "GET", f"{base}/{feature}/value")["balance"] == 5
    assert call(house.key, "GET", f"{base}/{made['id']}")["id"] == made["id"]
    assert made["id"] in [one["id"] for one in call(operator, "GET", base)]
    listed = client.entitlements.list(subject=[house.slug])
    assert [one["id"] for one in listed] == [made["id"]]
    assert [one.id for one in client.grants.list(subject=[house.slug])] == [grant["id"]]
    call(operator, "POST", f"{base}/{feature}/reset", {}, status=204)
    assert call(operator, "GET", f"{base}/{feature}/value")["balance"] == 0
    history = call(operator, "GET", f"{base}/{feature}/history?windowSize=HOUR")
    assert history["windowedHistory"] == []
    call(operator, "DELETE", f"{base}/{feature}", status=204)
    call(operator, "GET", f"{base}/{feature}/value", status=404)
    call(operator, "GET", "v1/subjects/nobody-at-all/entitlements/seats/value", status=412)


def test_tenant_key__grants_itself_nothing(house, feature):
    body = {"amount": 5, "effectiveAt": soon().isoformat()}
    path = f"v2/customers/{house.slug}/entitlements/processed_units/grants"

    call(house.key, "POST", path, body, status=403)
