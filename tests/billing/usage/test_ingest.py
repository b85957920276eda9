"""Taking events: counted once, kept whole, whatever way they come."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.usage.cloudevents import decode
from billing.usage.services.ingest import ingest
from kernel import db, tenancy
from kernel.errors import Invalid
from kernel.gate.wire import HotConnection
from tests.billing.house import make_house
from tests.billing.usage.reports import (
    NOON,
    as_staff,
    define,
    event,
    in_parallel,
    read,
    report,
    rollups,
    send,
    total,
    word,
)


def test_ingest__new_events__are_counted_at_once(house):
    meter = define(house.id)

    new = report(house.id, event(meter.slug, 3), event(meter.slug, "4.5"))

    assert new == 2
    assert total(house.id, meter) == Decimal("7.5")


def test_ingest__same_source_and_id__counts_once(house):
    meter = define(house.id)
    sent = event(meter.slug, 3)

    counts = [report(house.id, sent), report(house.id, sent), report(house.id, sent, sent)]

    assert counts == [1, 0, 0]
    assert total(house.id, meter) == 3


def test_ingest__same_id_twice_in_a_batch__counts_the_first(house):
    meter = define(house.id)
    sent = event(meter.slug, 3)

    assert report(house.id, sent, sent | {"data": {"value": 100}}) == 1
    assert total(house.id, meter) == 3


def test_ingest__same_id_with_another_time__counts_once(house):
    meter = define(house.id)
    sent = event(meter.slug, 3)
    later = (NOON + timedelta(days=60)).isoformat()

    assert report(house.id, sent) == 1
    assert report(house.id, sent | {"time": later}) == 0
    assert total(house.id, meter) == 3


def test_ingest__hyphens_in_source_and_id__never_collide(house):
    meter = define(house.id)
    one = event(meter.slug, 1, source="a-b", id="c")
    other = event(meter.slug, 1, source="a", id="b-c")

    assert report(house.id, one, other) == 2


def test_ingest__same_key_of_another_tenant__is_another_event(house):
    other = make_house("enterprise")
    sent = event(word())

    assert (report(house.id, sent), report(other.id, sent)) == (1, 1)


def test_ingest__single_and_batch__leave_the_same_rollups(house):
    singles, batch = define(house.id, "MAX"), define(house.id, "MAX")
    values = [5, "7.25", -3, None, "x", 2]
    times = [NOON + timedelta(minutes=7 * place) for place in range(len(values))]

    for value, at in zip(values, times, strict=True):
        report(house.id, event(singles.slug, value, at=at))
    events = [event(batch.slug, v, at=at) for v, at in zip(values, times, strict=True)]
    report(house.id, *events)

    assert rollups(singles) == rollups(batch)
    assert len(rollups(batch)) == 2


@pytest.mark.parametrize("many", [False, True])
def test_ingest__unique_count__counts_distinct_values_once(house, many):
    meter = define(house.id, "UNIQUE_COUNT")
    events = [event(meter.slug, value) for value in ("a", "b", "a", None, 5, "5")]

    if many:
        report(house.id, *events)
    else:
        for one in events:
            report(house.id, one)

    assert total(house.id, meter) == 3


def test_ingest__redelivered_50_times_in_parallel__counts_once(house):
    meter = define(house.id)
    events = [event(meter.slug, 2) for _ in range(100)]

    def work(place: int, connection: HotConnection) -> int:
        mixed = events[place * 7 :] + events[: place * 7]
        return sum(send(connection, house.id, mixed) for _ in range(5))

    counts = in_parallel(10, work)

    assert sum(counts) == 100
    assert total(house.id, meter) == 200


def test_ingest__overlapping_batches_in_opposite_order__do_not_deadlock(house):
    meter = define(house.id, "COUNT")
    events = [event(meter.slug, subject=f"s{place % 7}") for place in range(300)]

    def work(place: int, connection: HotConnection) -> int:
        return send(connection, house.id, events if place % 2 else events[::-1])

    counts = in_parallel(8, work)

    assert sum(counts) == 300
    assert total(house.id, meter) == 300


def test_ingest__one_busy_series__is_kept_in_several_rows_and_read_as_one(house):
    meter = define(house.id)

    def work(place: int, connection: HotConnection) -> int:
        return sum(send(connection, house.id, [event(meter.slug, 1)]) for _ in range(20))

    in_parallel(4, work)

    assert total(house.id, meter) == 80
    assert len(read(house.id, meter, group_by=["subject"])) == 1


def test_ingest__rolled_back__leaves_nothing_and_may_be_sent_again(house):
    meter = define(house.id)
    sent = decode(json.dumps(event(meter.slug, 3)).encode(), "application/json")

    def take_and_fail() -> None:
        with tenancy.tenant_context(house.id), db.atomic():
            ingest(sent, tenant_id=house.id)
            raise RuntimeError("the caller's own")

    with pytest.raises(RuntimeError):
        take_and_fail()

    assert total(house.id, meter) is None
    with tenancy.tenant_context(house.id):
        assert ingest(sent, tenant_id=house.id) == 1


def test_ingest__unknown_type__is_kept_and_counts_for_a_later_meter(house):
    kind = word()
    report(house.id, event(kind, 3), event(kind, 4))

    meter = define(house.id, type_=kind)

    with tenancy.tenant_context(house.id):
        meter.ready = False
    assert total(house.id, meter) == 7


def test_ingest__event_before_event_from__does_not_count(house):
    meter = define(house.id, event_from=NOON)
    report(house.id, event(meter.slug, 1, at=NOON - timedelta(microseconds=1)))
    report(house.id, event(meter.slug, 2, at=NOON))

    assert total(house.id, meter) == 2


def test_ingest__clock_too_far_ahead__is_kept_and_not_counted(house):
    meter = define(house.id, "COUNT")
    now = datetime.now(UTC)

    report(house.id, event(meter.slug, at=now + timedelta(minutes=4)))
    report(house.id, event(meter.slug, at=now + timedelta(minutes=6)))

    assert total(house.id, meter) == 1


def test_ingest__no_time__is_the_servers_clock(house):
    meter = define(house.id, "COUNT")
    sent = event(meter.slug)
    del sent["time"]
    before = datetime.now(UTC)

    report(house.id, sent)

    assert total(house.id, meter, start=before, end=datetime.now(UTC)) == 1


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "2019-05-05T00:00:00Z"])
def test_ingest__time_outside_the_months_kept_ready__is_stored_all_the_same(house, at):
    meter = define(house.id, "COUNT")

    report(house.id, event(meter.slug, time=at))

    assert total(house.id, meter) == 1


@pytest.mark.parametrize(
    "data", ['{"value": "a\\u0000b"}', '{"value": 1e999999}', '{"\\u0000": 1}']
)
@pytest.mark.parametrize("many", [False, True])
def test_ingest__value_that_cannot_be_kept__is_refused_whole(house, data, many):
    meter = define(house.id, "COUNT")
    bad = json.dumps(event(meter.slug, data=None)).replace('"data": null', f'"data": {data}')
    text = f"[{bad},{json.dumps(event(meter.slug))}]" if many else bad

    with pytest.raises(Invalid) as refused, tenancy.tenant_context(house.id):
        ingest(decode(text.encode(), "application/json"), tenant_id=house.id)

    assert [fault.pointer for fault in refused.value.errors] == ["/0"]
    assert total(house.id, meter) == 0


@pytest.mark.parametrize(
    "text", ['a"b', "back\\slash", "comma,{brace}", "new\nline", "NULL", "ü", " "]
)
def test_ingest__awkward_text__comes_back_as_sent(house, text):
    meter = define(house.id, group_by={"g": "$.g"})
    sent = [
        event(meter.slug, 1, subject=text, id=word() + text, data={"value": 1, "g": text})
        for _ in range(2)
    ]

    assert report(house.id, *sent) == 2
    assert report(house.id, *reversed(sent)) == 0
    rows = read(house.id, meter, group_by=["subject", "g"])
    assert [(row.subject, row.groups, row.value) for row in rows] == [(text, {"g": text}, 2)]


def test_ingest__hot_connection__is_committed_when_it_answers(house):
    meter = define(house.id)
    connection = HotConnection("staff")
    sent = decode(json.dumps(event(meter.slug, 9)).encode(), "application/json")

    ingest(sent, tenant_id=house.id, by_operator=True, connection=connection)
    connection.close()

    assert total(house.id, meter) == 9


def test_ingest__operator_by_subject__finds_slug_and_id_and_keeps_the_rest(house):
    kind = word()
    stranger = word()
    sent = [event(kind, subject=house.slug), event(kind, subject=house.public_id)]
    sent.append(event(kind, subject=stranger))
    events = decode(json.dumps(sent).encode(), "application/json")

    with as_staff():
        assert ingest(events, tenant_id=None, by_operator=True) == 3
        assert ingest(events, tenant_id=None, by_operator=True) == 0
        with db.cursor() as cursor:
            cursor.execute(
                "SELECT subject, tenant_id FROM billing_usage_event WHERE type = %s ORDER BY seq",
                [kind],
            )
            kept = cursor.fetchall()

    assert kept == [
        (house.slug, house.id),
        (house.public_id, house.id),
        (stranger, None),
    ]


def test_ingest__app_role_for_another_tenant__is_refused_by_the_database(house):
    other = make_house("enterprise")
    sent = decode(json.dumps(event(word())).encode(), "application/json")

    with (
        pytest.raises(Exception, match="row-level security"),
        tenancy.tenant_context(house.id),
    ):
        ingest(sent, tenant_id=other.id)
