"""Voids and corrections: append-only, counted at once, told in the audit log."""

import pytest

from kernel import db
from tests.billing.house import call, make_house, make_key
from tests.billing.usage.reports import as_staff, define, event, report, rollups, total
from tests.billing.usage.test_recount import again, differing


def void(house, one, status=204, **facts):
    body = {"source": one["source"], "id": one["id"], "reason": "sent twice"} | facts
    return call(house.key, "POST", "v1/events/void", body, status)


def correct(house, one, data, status=204):
    body = {"source": one["source"], "id": one["id"], "reason": "wrong unit", "data": data}
    return call(house.key, "POST", "v1/events/correct", body, status)


@pytest.mark.parametrize("aggregation", ["SUM", "COUNT", "MAX", "LATEST", "UNIQUE_COUNT"])
def test_void__event__counts_for_nothing(house, aggregation):
    meter = define(house.id, aggregation)
    keep, drop = event(meter.slug, 3), event(meter.slug, 9)
    report(house.id, keep, drop)

    void(house, drop)

    assert total(house.id, meter) == {"SUM": 3, "MAX": 3, "LATEST": 3}.get(aggregation, 1)
    assert differing(meter) == ""
    meter.ready = False
    assert total(house.id, meter) == {"SUM": 3, "MAX": 3, "LATEST": 3}.get(aggregation, 1)


def test_void__only_event__leaves_no_roll_up_and_the_event_listed(house):
    meter = define(house.id)
    one = event(meter.slug, 3)
    report(house.id, one)

    void(house, one)
    void(house, one)

    assert rollups(meter) == []
    listed = call(house.key, "GET", "v1/events?from=2026-01-01T00:00:00Z")
    assert [(e["event"]["data"], e["validationError"]) for e in listed] == [
        ({"value": 3}, "void: sent twice")
    ]
    assert report(house.id, one) == 0


def test_void__event__recounts_its_own_series_only(house):
    meter = define(house.id)
    one = event(meter.slug, 3)
    report(house.id, one, event(meter.slug, 4), event(meter.slug, 5, subject="bob"))
    with as_staff(), db.cursor() as cursor:
        cursor.execute(
            "UPDATE billing_usage_rollup SET total = 77 WHERE meter_id = %s AND subject = 'bob'",
            [meter.id],
        )

    void(house, one)

    assert [(row[1], row[4]) for row in rollups(meter)] == [("alice", 4), ("bob", 77)]


def test_correct__event__counts_with_the_newest_data(house):
    meter = define(house.id, group_by={"m": "$.m"})
    one = event(meter.slug, 3)
    report(house.id, one, event(meter.slug, 1))

    correct(house, one, {"value": 5, "m": "x"})
    correct(house, one, {"value": 0.25, "m": "x"})

    assert total(house.id, meter) == 1.25
    assert [row[2] for row in rollups(meter)] == [[""], ["x"]]
    assert differing(again(meter)) == ""


def test_correct__void_event__counts_again(house):
    meter = define(house.id)
    one = event(meter.slug, 3)
    report(house.id, one)
    void(house, one)

    correct(house, one, {"value": 4})

    assert total(house.id, meter) == 4


def test_amend__each__is_in_the_audit_log_of_the_tenant(house):
    meter = define(house.id)
    one = event(meter.slug, 3)
    report(house.id, one)

    void(house, one)

    with as_staff(), db.cursor() as cursor:
        cursor.execute(
            "SELECT kind, reason, actor FROM billing_usage_amendment WHERE tenant_id = %s",
            [house.id],
        )
        ((kind, reason, actor),) = cursor.fetchall()
    assert (kind, reason) == ("void", "sent twice")
    assert actor.startswith("tenant_key:")


def test_amend__unknown_or_foreign_event__is_not_found(house):
    other = make_house("enterprise")
    one = event("x")
    report(other.id, one)

    assert void(house, one, 404)["code"] == "event_not_found"
    assert void(house, event("y"), 404)["code"] == "event_not_found"
    assert correct(house, one, {"value": 1}, 404)["code"] == "event_not_found"


@pytest.mark.parametrize("facts", [{"reason": ""}, {"reason": "x" * 1001}, {"extra": 1}])
def test_amend__malformed__is_refused(house, facts):
    one = event("x")
    report(house.id, one)

    void(house, one, 400, **facts)


def test_amend__key_without_the_permission__is_refused(house):
    meter = define(house.id)
    one = event(meter.slug, 3)
    report(house.id, one)
    key = make_key(house.id, ("events:write", "events:read"))
    body = {"source": one["source"], "id": one["id"], "reason": "r"}

    call(key, "POST", "v1/events/void", body, 403)

    assert total(house.id, meter) == 3


def test_amend__records__can_be_neither_changed_nor_removed_by_the_app(house):
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT has_table_privilege('innkeeper_app', 'billing_usage_amendment', p)"
            " FROM unnest(ARRAY['UPDATE', 'DELETE']) AS p"
        )
        assert cursor.fetchall() == [(False,), (False,)]
