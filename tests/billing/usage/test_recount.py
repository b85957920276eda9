"""Counting back, and checking roll-ups against the ledger."""

import threading
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from unittest import mock

import psycopg
import pytest
from django.core.management import CommandError, call_command

from billing.usage.models import Meter
from billing.usage.services import amending, meters, recounting
from kernel import db, tenancy
from kernel.gate.wire import HotConnection, conninfo
from tests.billing.house import call
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
from tests.waiting import until


def new_meter(house, kind, aggregation="SUM", **facts):
    meter = define(house.id, aggregation, kind, **facts)
    return again(meter, ready=False)


def again(meter, **changes):
    with as_staff():
        if changes:
            Meter.objects.filter(id=meter.id).update(**changes)
        return Meter.objects.get(id=meter.id)


def recount(meter) -> bool:
    with as_staff():
        return recounting.recount(meter)


@contextmanager
def no_replacing():
    """See that what follows only adds: a replaced day is one that ingest had to wait for."""
    with mock.patch.object(recounting, "_RECOUNT", "SELECT 1 / 0, %s, %s, %s, %s"):
        yield


def differing(meter) -> str:
    out = StringIO()
    try:
        call_command("verify_usage", meter=meter.slug, stdout=out)
    except CommandError:
        return out.getvalue()
    return ""


@pytest.mark.parametrize("aggregation", ["SUM", "UNIQUE_COUNT", "LATEST"])
def test_recount__meter_made_later__counts_earlier_events(house, aggregation):
    kind = word()
    report(house.id, *(event(kind, value, subject=f"s{value % 2}") for value in range(1, 6)))
    meter = new_meter(house, kind, aggregation)
    raw = read(house.id, meter, group_by=["subject"])

    assert recount(meter) is True

    meter = again(meter)
    assert meter.ready
    assert read(house.id, meter, group_by=["subject"]) == raw
    assert len(rollups(meter)) == 2
    assert differing(meter) == ""


@pytest.mark.parametrize("aggregation", ["SUM", "UNIQUE_COUNT", "LATEST", "MIN", "COUNT"])
def test_recount__meter_that_has_counted_since__only_adds_what_was_before(house, aggregation):
    kind = word()
    report(house.id, *(event(kind, value, subject=f"s{value % 2}") for value in range(1, 6)))
    meter = new_meter(house, kind, aggregation)
    report(house.id, *(event(kind, value, subject=f"s{value % 3}") for value in range(3, 9)))
    raw = read(house.id, meter, group_by=["subject"])

    with no_replacing():
        assert recount(meter) is True

    assert read(house.id, again(meter), group_by=["subject"]) == raw
    assert differing(meter) == ""


def test_recount__new_meter__lets_ingest_of_its_day_go_on(house):
    kind = word()
    report(house.id, event(kind, 1))
    meter = new_meter(house, kind)
    with psycopg.connect(conninfo("default")) as writer:
        writer.execute(
            "SELECT pg_advisory_xact_lock_shared(billing_usage_lock(%s, %s, %s))",
            [house.id, kind, NOON],
        )
        gave_way = AssertionError("it waited for whoever takes events")
        with no_replacing(), mock.patch.object(recounting.time, "sleep", side_effect=gave_way):
            assert recount(meter) is True

    assert total(house.id, again(meter)) == 1


def test_recount__event_that_is_voided_before__stays_void(house):
    kind = word()
    kept, gone = event(kind, 1), event(kind, 2)
    report(house.id, kept, gone)
    meter = new_meter(house, kind)
    with tenancy.tenant_context(house.id):
        amending.void(
            tenant_id=house.id, source=gone["source"], event_id=gone["id"], reason="sent twice"
        )
    recount(meter)

    assert total(house.id, again(meter)) == 1
    assert differing(meter) == ""


def test_recount__twice__changes_nothing(house):
    meter = define(house.id)
    report(house.id, event(meter.slug, 5))
    before = rollups(meter)

    recount(again(meter, ready=False))
    recount(again(meter, ready=False))

    assert rollups(meter) == before


def test_recount__beside_ingest__neither_loses_nor_doubles(house):
    kind = word()
    report(house.id, *(event(kind, 1) for _ in range(50)))
    meter = new_meter(house, kind)
    done = threading.Event()

    def work(place: int, connection: HotConnection) -> int:
        if place:
            return sum(send(connection, house.id, [event(kind, 1)]) for _ in range(60))
        for _ in range(10):
            again(meter, ready=False)
            recount(again(meter))
        for alias in ("staff", "default"):
            with db.use_alias(alias):
                db.connection().close()
        done.set()
        return 0

    counts = in_parallel(4, work)

    assert sum(counts) == 180
    meter = again(meter)
    assert meter.ready
    assert total(house.id, meter) == 230
    assert differing(meter) == ""


def test_recount__transaction_that_has_not_seen_the_meter__is_waited_for(house):
    kind = word()
    begun, made, finished = threading.Event(), threading.Event(), []

    def old_writer() -> None:
        with tenancy.tenant_context(house.id), db.atomic():
            report(house.id, event(kind, 7))
            begun.set()
            made.wait(5)
        finished.append("writer")
        db.connection().close()

    writer = threading.Thread(target=old_writer)
    writer.start()
    begun.wait(5)
    meter = new_meter(house, kind)
    threading.Timer(0.3, made.set).start()

    assert recount(meter) is True
    finished.append("recount")
    writer.join()

    assert finished == ["writer", "recount"]
    assert total(house.id, again(meter)) == 7


def test_recount__new_groups__replace_the_old_ones(house):
    meter = define(house.id, group_by={"a": "$.a"})
    report(house.id, event(meter.slug, data={"value": 1, "a": "x", "b": "y"}))
    with tenancy.tenant_context(house.id):
        meters.update(meter, {"group_by": {"b": "$.b"}})
    assert [row.groups for row in read(house.id, again(meter), group_by=["b"])] == [{"b": "y"}]

    assert recount(again(meter)) is True

    assert [row[2] for row in rollups(meter)] == [["y"]]
    assert [row.groups for row in read(house.id, again(meter), group_by=["b"])] == [{"b": "y"}]


def test_recount__groups_changed_meanwhile__is_not_ready(house):
    meter = new_meter(house, word(), group_by={"a": "$.a"})
    with tenancy.tenant_context(house.id):
        meters.update(again(meter), {"group_by": {"b": "$.b"}})

    assert recount(meter) is False
    assert not again(meter).ready


def test_update__of_a_meter_regrouped_meanwhile__writes_only_what_it_changes(house):
    meter = new_meter(house, word(), group_by={"a": "$.a"})
    recount(meter)
    earlier = again(meter)
    with tenancy.tenant_context(house.id):
        meters.update(again(meter), {"group_by": {"b": "$.b"}})
        meters.update(earlier, {"name": "Named"})

    now = again(meter)
    assert (now.name, now.group_by, now.group_paths, now.ready) == (
        "Named", {"b": "$.b"}, ['{"b"}'], False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE billing_usage_rollup SET total = total + 1 WHERE meter_id = %s", "'total': 6"),
        ("UPDATE billing_usage_rollup SET count = count - 1 WHERE meter_id = %s", "'count': 0"),
        ("DELETE FROM billing_usage_rollup WHERE meter_id = %s", "kept None"),
    ],
)
def test_verify_usage__roll_up_that_lies__is_named(house, change, told):
    meter = define(house.id)
    report(house.id, event(meter.slug, 5))
    assert differing(meter) == ""

    with as_staff(), db.cursor() as cursor:
        cursor.execute(change, [meter.id])
    found = differing(meter)
    recount(again(meter, ready=False))

    assert told in found
    assert str(house.id) in found
    assert differing(meter) == ""


def test_recount__value_that_no_event_has__goes(house):
    meter = define(house.id, "UNIQUE_COUNT")
    report(house.id, event(meter.slug, 5))
    with as_staff(), db.cursor() as cursor:
        cursor.execute(
            "INSERT INTO billing_usage_value SELECT tenant_id, meter_id, bucket, subject,"
            " groups_hash, gen_random_uuid(), groups, 'invented' FROM billing_usage_value"
            " WHERE meter_id = %s",
            [meter.id],
        )
    assert total(house.id, meter) == 2

    recount(again(meter, ready=False))

    assert total(house.id, again(meter)) == 1
    assert differing(meter) == ""


def test_verify_usage__malformed_day__is_refused():
    with pytest.raises(CommandError, match="no day"):
        call_command("verify_usage", "--from", "yesterday")


def test_verify_usage__meter_that_does_not_exist__is_refused():
    with pytest.raises(CommandError, match="no meter 'nothing_like_it'"):
        call_command("verify_usage", meter="nothing_like_it")


def test_recount__half_done__is_told_with_the_meter_and_figures_are_exact_meanwhile(house):
    kind, slug = word(), word()
    days = [NOON, NOON + timedelta(days=1), NOON + timedelta(days=2)]
    report(house.id, *(event(kind, 5, at=at) for at in days))
    body = {"slug": slug, "eventType": kind, "aggregation": "SUM", "valueProperty": "$.value"}
    made = call(house.key, "POST", "v1/meters", body, 201)
    with as_staff():
        meter = Meter.objects.get(slug=slug)
    assert made["annotations"] == {"countingBack": {}}

    # On a connection of its own: a transaction that has read the meters is waited for as a whole.
    with psycopg.connect(conninfo("default")) as writer:
        # Days are counted newest first; what changes the oldest one is let past.
        writer.execute(
            "SELECT pg_advisory_xact_lock(billing_usage_lock(%s, %s, %s))",
            [house.id, kind, NOON],
        )
        counting = threading.Thread(target=recount_and_close, args=(meter,))
        counting.start()
        until(
            "the recount has come so far",
            lambda: shown(house, slug) == {"countingBack": {"days": 3, "done": 2}},
        )
        meanwhile = call(house.key, "GET", f"v1/meters/{slug}/query")["data"]
    counting.join(60)

    assert [row["value"] for row in meanwhile] == [15]
    assert shown(house, slug) == {}
    assert call(house.key, "GET", f"v1/meters/{slug}/query")["data"] == meanwhile
    assert len(rollups(meter)) == 3


def shown(house, slug):
    return call(house.key, "GET", f"v1/meters/{slug}")["annotations"]


def recount_and_close(meter):
    recount(meter)
    with db.use_alias("staff"):
        db.connection().close()
