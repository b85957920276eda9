"""The real OpenMeter client, unmodified, sync and async, against the served application."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from corehttp.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from openmeter import Client
from openmeter.aio import Client as AsyncClient
from openmeter.models import Event

from tests.billing.house import make_house
from tests.billing.usage.reports import event, word


@pytest.fixture
def client(address, house):
    with Client(endpoint=address, token=house.key) as client:
        yield client


@pytest.fixture
def meter(client):
    slug = word()
    return client.meters.create(
        {
            "slug": slug,
            "aggregation": "SUM",
            "eventType": slug,
            "valueProperty": "$.value",
            "groupBy": {"model": "$.model"},
        }
    )


def now() -> datetime:
    return datetime.now(UTC)


def sent(meter, value=1, **facts):
    return event(meter.slug, at=now(), data={"value": value, "model": "gpt-4"}, **facts)


def test_client__three_ways_of_ingest__count_at_once(client, meter):
    client.events.ingest_event(sent(meter, 1))
    client.events.ingest_events([sent(meter, 2), sent(meter, 4)])
    client.events.ingest_events_json(Event(sent(meter, 8)))  # it sends nothing for a dict
    client.events.ingest_events_json([sent(meter, 16)])

    result = client.meters.query_json(meter.slug)

    assert [row.value for row in result.data] == [31.0]
    assert result.data[0]["valueDecimal"] == "31"


def test_client__retried_event__counts_once(client, meter):
    one = sent(meter, 5)

    for _ in range(3):
        client.events.ingest_event(one)

    assert client.meters.query_json(meter.id).data[0].value == 5.0


def test_client__query_json__filters_groups_and_windows(client, meter):
    client.events.ingest_events([sent(meter, 2, subject="bob's"), sent(meter, 3)])
    start = (now() - timedelta(days=2)).replace(minute=3, second=7)
    result = client.meters.query_json(
        meter.slug,
        from_parameter=start,
        to=now() + timedelta(hours=1),
        window_size="DAY",
        window_time_zone="America/New_York",
        subject=["bob's", "nobody"],
        filter_group_by={"model": "gpt-4"},
        group_by=["model"],
    )

    assert [(row.value, row.subject, dict(row.group_by)) for row in result.data] == [
        (2.0, "bob's", {"model": "gpt-4"})
    ]
    assert result.window_size == "DAY"
    assert result.from_property == start
    assert result.data[0].window_end - result.data[0].window_start == timedelta(days=1)


def test_client__query_post__takes_lists_and_advanced_filters(client, meter):
    client.events.ingest_event(sent(meter, 2))

    simple = client.meters.query(meter.slug, {"filterGroupBy": {"model": ["x", "gpt-4"]}})
    advanced = client.meters.query(
        meter.slug, {"advancedMeterGroupByFilters": {"model": {"$ne": "gpt-4"}}}
    )

    assert [row.value for row in simple.data] == [2.0]
    assert list(advanced.data) == []


def test_client__query_csv__is_a_table(client, meter):
    client.events.ingest_event(sent(meter, 2))

    text = client.meters.query_csv(meter.slug, group_by=["model"], subject=["alice"])

    lines = text.splitlines()
    assert lines[0] == "window_start,window_end,subject,model,value"
    assert lines[1].endswith(",alice,gpt-4,2.000000")
    assert len(lines) == 2


def test_client__meters__live_from_create_to_delete(client, meter):
    assert client.meters.get(meter.slug).id == meter.id
    assert meter.slug in [one.slug for one in client.meters.list(page_size=1000)]

    changed = client.meters.update(meter.id, {"name": "Tokens", "groupBy": {"kind": "$.kind"}})
    assert (changed.name, dict(changed.group_by)) == ("Tokens", {"kind": "$.kind"})

    assert client.meters.delete(meter.id) is None
    with pytest.raises(ResourceNotFoundError):
        client.meters.get(meter.slug)


def test_client__subjects_and_group_values__are_lists_of_text(client, meter):
    client.events.ingest_events([sent(meter, subject="zoe/1"), sent(meter, subject="adam")])

    assert list(client.meters.list_subjects(meter.slug)) == ["adam", "zoe/1"]
    assert list(client.meters.list_group_by_values(meter.slug, "model")) == ["gpt-4"]


def test_client__events_list__tells_what_does_not_count(client, meter):
    client.events.ingest_event(sent(meter, 1, id="fine" + word()))
    client.events.ingest_event(event(meter.slug, at=now(), data={"other": 1}))
    client.events.ingest_event(event(meter.slug, at=now(), data=None))
    client.events.ingest_event(sent(meter, float("nan")))
    client.events.ingest_event(sent(meter, "Infinity"))

    listed = [one for one in client.events.list() if one.event.type == meter.slug]

    assert {one.validation_error for one in listed} == {
        None,
        'invalid event: missing value property: "$.value"',
        "invalid event: null and missing value property",
        "invalid event: value cannot be NaN",
        "invalid event: value cannot be infinity",
    }
    assert client.meters.query_json(meter.slug).data[0].value == 1.0


def test_client__events_list__gives_events_as_they_were_sent(client, meter):
    one = sent(meter, 0.1)
    client.events.ingest_event(one)

    listed = client.events.list(id=one["id"])[0]

    assert dict(listed.event.data) == one["data"]
    assert (listed.event.id, listed.event.source) == (one["id"], one["source"])
    assert listed.event.time.isoformat() == one["time"]
    assert now() - listed.ingested_at < timedelta(minutes=1)


def test_client__events_list__filters_by_part_and_limit(client, meter):
    client.events.ingest_events([sent(meter, id=f"order_{place}-{word()}") for place in range(4)])

    assert len(client.events.list(id="order_")) == 4
    assert len(client.events.list(id="order_2")) == 1
    assert client.events.list(id="orderX") == []
    assert len(client.events.list(subject="LIC", limit=2)) == 2
    assert client.events.list(to=now() - timedelta(hours=1)) == []


def test_client__errors__are_the_clients_own_exceptions(client, address, meter):
    with pytest.raises(ResourceNotFoundError) as missing:
        client.meters.query_json("nothing_here")
    with pytest.raises(ResourceExistsError):
        client.meters.create({"slug": meter.slug, "aggregation": "COUNT", "eventType": "x"})
    with pytest.raises(HttpResponseError) as bad:
        client.meters.query_json(meter.slug, window_time_zone="Mars/Olympus")
    stranger = Client(endpoint=address, token="ikt_live_no")
    with stranger, pytest.raises(ClientAuthenticationError):
        stranger.meters.list()

    assert missing.value.status_code == 404
    assert bad.value.status_code == 400
    assert bad.value.model.title
    assert bad.value.model.extensions["validationErrors"][0]["code"] == "invalid_time_zone"


def test_client__platform_key__reports_for_tenants_by_subject(address, platform_key, house):
    other = make_house("enterprise")
    slug = word()
    with Client(endpoint=address, token=platform_key) as operator:
        operator.meters.create({"slug": slug, "aggregation": "COUNT", "eventType": slug})
        events = [event(slug, at=now(), subject=one) for one in (house.slug, other.slug, word())]
        operator.events.ingest_events(events)
        operator.events.ingest_events(events)

        mine = operator.meters.query_json(slug, filter_customer_id=[house.public_id])
        everybody = operator.meters.query_json(slug)
        unknown = operator.events.list(subject=events[2]["subject"])

    assert [(row.value, row.customer_id) for row in mine.data] == [(1.0, house.public_id)]
    assert [row.value for row in everybody.data] == [2.0]
    assert [one.customer_id for one in unknown] == [None]


def test_client__tenant_key__finds_no_other_customer(client, meter, house):
    other = make_house("enterprise")

    assert client.meters.query_json(meter.slug, filter_customer_id=[house.slug]) is not None
    for name in (other.public_id, other.slug, "ten_nothing"):
        with pytest.raises(ResourceNotFoundError):
            client.meters.query_json(meter.slug, filter_customer_id=[name])


def test_client__requests_of_a_tenant__are_its_api_requests(client):
    for _ in range(5):
        client.meters.list()

    first = client.meters.query_json("api_requests").data[0].value
    second = client.meters.query_json("api_requests").data[0].value

    assert first >= 6
    assert second == first + 1


def test_async_client__ingest_and_query__are_the_same(address, house):
    slug = word()

    async def run():
        async with AsyncClient(endpoint=address, token=house.key) as client:
            await client.meters.create(
                {
                    "slug": slug,
                    "aggregation": "MAX",
                    "eventType": slug,
                    "valueProperty": "$.value",
                    "groupBy": {"model": "$.model"},
                }
            )
            await client.events.ingest_event(event(slug, 3, at=now()))
            await client.events.ingest_events([event(slug, 9, at=now()), event(slug, 4, at=now())])
            await client.events.ingest_events_json([event(slug, 5, at=now())])
            result = await client.meters.query_json(slug, filter_group_by={"model": ""})
            text = await client.meters.query_csv(slug)
            return result, text

    result, text = asyncio.run(run())

    assert [row.value for row in result.data] == [9.0]
    assert text.splitlines()[0] == "window_start,window_end,value"
