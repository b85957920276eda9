"""Crossing 50, 80 and 100 percent of a quota: each told exactly once in a period, none missed."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson
import pytest
from django.db import connections

from billing.catalog.models.recurrence import Cadence
from billing.catalog.queries import feature_by_key, feature_fact
from billing.entitlements.models import EntitlementType, Override, ThresholdCrossing
from billing.entitlements.services import entitlements, grants, use
from billing.entitlements.services.entitlements import NewEntitlement
from billing.entitlements.services.overrides import NewOverride, grant, revoke
from billing.entitlements.services.thresholds import on_quota_due
from kernel import db
from kernel.events.registry import Delivery
from kernel.gate import alarms, quota
from kernel.gate.admission import admit
from kernel.gate.wire import hot
from kernel.ids import new_id
from kernel.tenancy import tenant_context
from tests.billing.entitlements.quotas import limit
from tests.billing.house import call, make_house, staff

pytestmark = pytest.mark.usefixtures("database")

FEATURE = "processed_units"


@pytest.fixture
def house():
    house = make_house("basic")
    limit(house, 100)
    look(house)
    return house


def due(house):
    """Take the tenant's alarms that are due out of the outbox, as the relay does."""
    with staff(), db.cursor() as cursor:
        cursor.execute(
            "UPDATE kernel_outbox SET delivered_at = clock_timestamp()"
            " WHERE tenant_id = %s AND name = 'quota.due' AND delivered_at IS NULL"
            " AND available_at <= clock_timestamp()"
            " RETURNING id, payload::text, occurred_at",
            [house.id],
        )
        return [
            Delivery(id_, "quota.due", house.id, at, orjson.loads(payload), 1)
            for id_, payload, at in cursor.fetchall()
        ]


def look(house):
    """Let the consumer look at what was told; give how many alarms there were."""
    deliveries = due(house)
    for delivery in deliveries:
        with db.use_alias("staff"), tenant_context(house.id), db.atomic():
            on_quota_due(delivery)
    return len(deliveries)


def look_until(house, done, seconds=20):
    """Let the consumer look again and again until something holds."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        look(house)
        time.sleep(0.02)


def told(house, feature=FEATURE):
    """The events of the outbox, as (threshold, usage, limit), in the order of being told."""
    with staff(), db.cursor() as cursor:
        cursor.execute(
            "SELECT payload::text FROM kernel_outbox WHERE tenant_id = %s"
            " AND name = 'usage.threshold_reached' ORDER BY occurred_at, id",
            [house.id],
        )
        payloads = [orjson.loads(row[0]) for row in cursor.fetchall()]
    return [
        (one["threshold"], Decimal(one["usage"]), Decimal(one["limit"]))
        for one in payloads
        if one["feature"] == feature
    ]


def consume(house, amount):
    path = f"v1/customers/{house.slug}/entitlements/{FEATURE}/consume"
    return call(house.key, "POST", path, {"quantity": amount})


def report(house, quantity, at=None):
    event = {"id": new_id().hex, "source": "t", "type": FEATURE, "subject": "s",
             "data": {"quantity": quantity}}  # fmt: skip
    if at is not None:
        event["time"] = at.isoformat()
    call(house.key, "POST", "v1/events", event, status=204)


def limit_again(house, amount, **facts):
    with staff():
        revoke(Override.objects.get(tenant_id=house.id, revoked_at=None))
    limit(house, amount, **facts)


def test_thresholds__crossed_one_by_one__are_told_with_use_limit_and_period(house):
    for amount in (49, 1, 29, 1, 20):
        consume(house, amount)
        look(house)

    assert told(house) == [(50, 50, 100), (80, 80, 100), (100, 100, 100)]
    listed = call(house.key, "GET", "v1/usage/thresholds")["items"]
    assert [one["threshold"] for one in listed] == [100, 80, 50]
    value = call(house.key, "GET", f"v1/customers/{house.slug}/entitlements/{FEATURE}/value")
    assert listed[0]["period"] == {"from": value["periodStart"], "to": value["resetAt"]}
    assert (listed[0]["usageDecimal"], listed[0]["limitDecimal"]) == ("100", "100")


def test_thresholds__one_event_over_all__tells_each_of_them(house):
    report(house, 130)
    look(house)

    assert told(house) == [(50, 130, 100), (80, 130, 100), (100, 130, 100)]


def test_thresholds__below_the_first__tells_nothing_and_alarms_once(house):
    for _ in range(20):
        report(house, 1)
    alarmed = look(house)
    for _ in range(20):
        report(house, 1)

    # A new slot alarms, whichever of the eight each connection writes; then there is room.
    assert alarmed <= 8
    assert look(house) <= 8
    assert told(house) == []


def test_thresholds__alarm_that_is_handled_again__changes_nothing(house):
    report(house, 60)
    deliveries = due(house)
    for delivery in deliveries * 3:
        with db.use_alias("staff"), tenant_context(house.id), db.atomic():
            on_quota_due(delivery)

    assert told(house) == [(50, 60, 100)]


def test_thresholds__raised_limit__arms_again_what_lies_above(house):
    report(house, 85)
    look(house)
    limit_again(house, 160)
    look(house)
    report(house, 50)
    look(house)

    assert told(house) == [(50, 85, 100), (80, 85, 100), (80, 135, 160)]
    with staff():
        rows = ThresholdCrossing.objects.filter(tenant_id=house.id)
        assert sorted((one.threshold, one.rearmed_at is not None) for one in rows) == [
            (50, False),
            (80, False),
            (80, True),
        ]


def test_thresholds__lowered_limit__tells_what_use_has_passed(house):
    report(house, 40)
    look(house)
    limit_again(house, 50)
    look(house)

    assert told(house) == [(50, 40, 50), (80, 40, 50)]


def test_thresholds__planned_change_that_nobody_asks_for__is_brought_into_force(house):
    report(house, 40)
    look(house)
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(
            "INSERT INTO gate.pending (tenant_id, at, features, hard_limits)"
            " VALUES (%s, clock_timestamp(), '{}', '{}')",
            [house.id],
        )
        cursor.execute(
            "UPDATE gate.tenant SET changes_at = clock_timestamp() WHERE tenant_id = %s",
            [house.id],
        )
    with staff(), db.atomic():
        assert alarms.apply_due() >= 1

    assert [one.payload["feature"] for one in due(house)] == [None]


def test_thresholds__own_percentages__are_the_ones_told(house):
    limit_again(house, 200, thresholds=[10, 25])
    look(house)
    for _ in range(3):
        report(house, 40)
        look(house)

    assert told(house) == [(10, 40, 200), (25, 80, 200)]


def test_thresholds__soft_limit__is_held_against_the_allowance(house):
    limit_again(house, 10, soft=True, thresholds=[100, 200])
    look(house)
    report(house, 15)
    look(house)
    report(house, 15)
    look(house)

    assert told(house) == [(100, 15, 10), (200, 30, 10)]


def test_thresholds__unlimited__tell_nothing():
    house = make_house("enterprise")
    report(house, 10**9)
    look(house)

    assert told(house) == []


def test_thresholds__void_and_use_again__are_told_once(house):
    report(house, 60)
    look(house)
    event = call(house.key, "GET", "v1/events")[0]["event"]
    body = {"source": event["source"], "id": event["id"], "reason": "test"}
    call(house.key, "POST", "v1/events/void", body, status=204)
    look(house)
    report(house, 60)
    look(house)

    assert told(house) == [(50, 60, 100)]


def test_thresholds__next_period__are_told_again(house):
    report(house, 60)
    look(house)
    with staff():
        end = quota.standings(
            house.id, ThresholdCrossing.objects.get(tenant_id=house.id).crossed_at
        )
        boundary = end[FEATURE].end
        with db.atomic(), db.cursor() as cursor:
            cursor.execute(
                "SELECT gate.add_usage(ARRAY[%s::uuid], ARRAY[%s], ARRAY[%s::timestamptz],"
                " ARRAY[80::numeric])",
                [house.id, FEATURE, boundary + timedelta(hours=1)],
            )
    look(house)

    assert [threshold for threshold, _, _ in told(house)] == [50, 50, 80]


def test_thresholds__grants_and_a_reset__move_the_limit_and_the_period():
    house = make_house("basic")
    new = NewEntitlement(
        type=EntitlementType.METERED,
        feature=FEATURE,
        cadence=Cadence.parse("P1M"),
        issue=Decimal(100),
    )
    with staff():
        entitlements.override(house.id, FEATURE, new)
    look(house)
    report(house, 60)
    look(house)
    with staff():
        now = datetime.now(UTC)
        grants.give(house.id, FEATURE, grants.NewGrant(amount=Decimal(100), effective_at=now))
    look(house)
    report(house, 50)
    look(house)
    assert told(house) == [(50, 60, 100), (50, 110, 200)]

    with staff():
        entitlements.reset(house.id, FEATURE)
    look(house)
    report(house, 190)
    look(house)

    assert [used for _, used, _ in told(house)[2:]] == [190] * len(told(house)[2:])
    listed = call(house.key, "GET", "v1/usage/thresholds")["items"]
    assert listed[0]["period"]["from"] > listed[-1]["period"]["from"]


def test_thresholds__long_writer__is_waited_for_and_holds_nobody_up(house):
    report(house, 60)
    with db.use_alias("owner"), db.atomic(), db.cursor() as cursor:
        cursor.execute(
            "UPDATE gate.quota_use SET used = used WHERE tenant_id = %s AND feature_key = %s",
            [house.id, FEATURE],
        )
        look(house)  # on the connection of staff
        assert told(house) == []
    look_until(house, lambda: told(house))

    assert told(house) == [(50, 60, 100)]


def test_thresholds__many_concurrent_consumers__are_each_told_exactly_once(house):
    fact = feature_fact(FEATURE)
    limit_again(house, 104)
    consumed = threading.Event()

    def work():
        try:
            with tenant_context(house.id):
                for _ in range(13):
                    use.consume(house.id, fact, Decimal(1))
        finally:
            connections.close_all()

    def watch():
        try:
            while not consumed.is_set():
                look(house)
                consumed.wait(0.005)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as pool:
        watchers = [pool.submit(watch) for _ in range(2)]
        for consumer in [pool.submit(work) for _ in range(8)]:
            consumer.result()
        consumed.set()
        for watcher in watchers:
            watcher.result()
    look_until(house, lambda: len(told(house)) >= 3)

    assert Counter(threshold for threshold, _, _ in told(house)) == {50: 1, 80: 1, 100: 1}
    assert all(used >= 104 * threshold / 100 for threshold, used, _ in told(house))


def test_requests__day_of_a_tenant__crosses_each_threshold_in_its_request():
    house = make_house("basic")
    with staff():
        feature = feature_by_key("api_requests")
        value = {"limit": 10, "period": "day"}
        grant(NewOverride(tenant_id=house.id, feature=feature, value=value, reason="test"))
    look(house)
    alarmed = [_ask(house) for _ in range(11)]

    # The gate tells in the very request that crosses: the fifth, the eighth and the tenth.
    assert [count for count, _ in alarmed] == [0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0]
    assert alarmed[-1][1] == "LIMITED"
    assert told(house, "api_requests") == [(50, 5, 10), (80, 8, 10), (100, 10, 10)]


def _ask(house):
    code = admit(hot(), house.key, ip=None, permission=None).code
    return look(house), code


def test_requests__lowered_limit__tells_what_the_day_has_passed():
    house = make_house("basic")
    for _ in range(6):
        _ask(house)
    with staff():
        feature = feature_by_key("api_requests")
        value = {"limit": 10, "period": "day", "thresholds": [20, 60, 70]}
        grant(NewOverride(tenant_id=house.id, feature=feature, value=value, reason="test"))
    look(house)
    assert told(house, "api_requests") == [(20, 6, 10), (60, 6, 10)]

    assert _ask(house)[0] == 1
    assert told(house, "api_requests")[-1] == (70, 7, 10)


def test_requests__concurrent__are_each_told_exactly_once():
    house = make_house("basic")
    with staff():
        feature = feature_by_key("api_requests")
        value = {"limit": 40, "period": "day"}
        grant(NewOverride(tenant_id=house.id, feature=feature, value=value, reason="test"))
    look(house)

    def work():
        for _ in range(12):
            admit(hot(), house.key, ip=None, permission=None)

    with ThreadPoolExecutor(4) as pool:
        for asker in [pool.submit(work) for _ in range(4)]:
            asker.result()
    alarmed = look(house)

    assert alarmed == 3
    assert sorted(told(house, "api_requests")) == [(50, 20, 40), (80, 32, 40), (100, 40, 40)]
