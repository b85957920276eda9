"""How usage runs: trends, foremost subjects, forecast; all from roll-ups."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from billing.usage.models import Meter
from billing.usage.queries.civil import calendar
from kernel import db, tenancy
from tests.billing.house import House, call, make_house, make_key
from tests.billing.usage.reports import as_staff, define, event, report, word


def analytics(house: House, *meters: Meter, **query: object) -> dict:
    asked = [f"meter={meter.slug}" for meter in meters]
    asked += [f"{name}={value}" for name, value in query.items()]
    return call(house.key, "GET", f"v1/usage/analytics?{'&'.join(asked)}")


def one(house: House, meter: Meter, **query: object) -> dict:
    [found] = analytics(house, meter, **query)["meters"]
    return found


def here(house: House):
    with tenancy.tenant_context(house.id):
        return calendar(house.id)


def test_analytics__month__is_compared_with_as_much_of_the_month_before(house):
    meter = define(house.id)
    at = here(house)
    just_before, just_after = at.cut - timedelta(seconds=1), at.cut + timedelta(seconds=1)
    report(
        house.id,
        event(meter.slug, 30, at=at.start),
        event(meter.slug, 20, at=at.before),
        *([event(meter.slug, 5, at=just_before)] if just_before > at.before else []),
        *([event(meter.slug, 100, at=just_after)] if just_after < at.start else []),
    )
    previous = 25 if just_before > at.before else 20 if at.cut > at.before else 0

    found = one(house, meter)

    assert (found["value"], found["month"]["previous"]["value"]) == (30, previous)
    assert found["month"]["change"]["valueDecimal"] == str(30 - previous)
    assert found["month"]["changePercent"] == (
        round((30 - previous) / previous * 100, 2) if previous else None
    )


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Chatham", "America/New_York"])
def test_analytics__week_and_days__are_those_of_the_tenants_zone(zone):
    house = make_house("enterprise", timezone=zone)
    meter = define(house.id)
    at = here(house)
    for ago in range(15):
        start, _ = at.back(ago, ago - 1)
        report(
            house.id,
            event(meter.slug, 1, at=start),
            event(meter.slug, "0.5", at=start - timedelta(microseconds=1)),
        )

    found = one(house, meter, days=3)

    assert datetime.fromisoformat(found["days"][-1]["from"]).astimezone(ZoneInfo(zone)).hour == 0
    assert [day["valueDecimal"] for day in found["days"]] == ["1.5", "1.5", "1"]
    assert found["week"]["valueDecimal"] == "10.5"
    assert found["week"]["previous"]["valueDecimal"] == "10.5"
    assert found["week"]["changePercent"] == 0


def test_analytics__each_aggregation__joins_days_as_it_should(house):
    start, _ = here(house).back(1, 0)
    names = ("SUM", "COUNT", "AVG", "MIN", "MAX", "LATEST", "UNIQUE_COUNT")
    meters = {name: define(house.id, name) for name in names}
    for meter in meters.values():
        report(
            house.id,
            *(
                event(meter.slug, value, at=start - timedelta(days=ago))
                for ago, values in enumerate([(4, 4, 1), (7,)])
                for value in values
            ),
        )

    found = {name: one(house, meter)["week"]["valueDecimal"] for name, meter in meters.items()}

    assert found == {
        "SUM": "16", "COUNT": "4", "AVG": "4", "MIN": "1", "MAX": "7", "LATEST": "1",
        "UNIQUE_COUNT": "3",
    }  # fmt: skip


def test_analytics__top_subjects__are_the_largest_of_the_month_with_their_share(house):
    meters = [define(house.id), define(house.id, "UNIQUE_COUNT")]
    now = datetime.now(UTC)
    for meter in meters:
        report(
            house.id,
            *(event(meter.slug, 10 + n, at=now, subject=f"s{n % 4}") for n in range(9)),
            event(meter.slug, 1000, at=here(house).start - timedelta(days=1), subject="former"),
        )

    summed, distinct = (one(house, meter, top=2)["topSubjects"] for meter in meters)

    assert [(row["subject"], row["value"]) for row in summed] == [("s0", 42), ("s3", 30)]
    assert summed[0]["share"] == round(42 / 126, 4)
    assert [(row["subject"], row["value"]) for row in distinct] == [("s0", 3), ("s1", 2)]
    assert distinct[0]["share"] is None


def test_analytics__steady_use__is_forecast_without_doubt(house):
    meter = define(house.id)
    at = here(house)
    days = [span for _, span in at.day_spans[-29:]]
    report(house.id, *(event(meter.slug, 24, at=start) for start, _ in days))

    forecast = one(house, meter)["forecast"]

    used = 24 * sum(1 for start, _ in days if start >= at.start)
    left = at.remaining
    expected = used + 24 * (left.share + (left.end - left.today).days - 1)
    assert (forecast["method"], forecast["historyDays"]) == ("weekday_mean", 27)
    assert forecast["value"] == pytest.approx(float(expected), abs=0.01)
    assert forecast["intervals"][1]["level"] == 95
    assert forecast["intervals"][1]["lower"] == forecast["intervals"][1]["upper"]


def test_analytics__averages_and_new_meters__have_no_forecast(house):
    average, fresh = define(house.id, "AVG"), define(house.id)
    report(house.id, event(average.slug, 3, at=datetime.now(UTC)))

    assert one(house, average)["forecast"] is None
    assert one(house, fresh)["forecast"] is None
    assert one(house, fresh)["value"] == 0


def test_analytics__requests__are_the_gates_own_with_the_keys_as_subjects(house):
    for _ in range(3):
        call(house.key, "GET", "v1/meters")

    [found] = analytics(house, meter="api_requests")["meters"]

    [key] = found["topSubjects"]
    assert (found["value"], key["value"], key["share"]) == (4, 4, 1)
    assert key["subject"].startswith("key_")


def test_analytics__meters_that_roll_ups_do_not_tell__are_left_out_and_said_so(house):
    median, counting = define(house.id, "MEDIAN"), define(house.id)
    with as_staff():
        Meter.objects.filter(id=counting.id).update(ready=False)

    found = analytics(house, median, counting)

    assert found["meters"] == []
    assert {one["slug"]: one["reason"] for one in found["leftOut"]} == {
        median.slug: "single_events",
        counting.slug: "recounting",
    }


def test_analytics__exact_figures__keep_every_digit(house):
    meter = define(house.id)
    long = "12345678901234567890123456789012345678901234567890.000000001"
    start, _ = here(house).back(1, 0)
    report(house.id, event(meter.slug, long, at=start), event(meter.slug, "1e-9", at=start))

    week = one(house, meter)["week"]

    exact = "12345678901234567890123456789012345678901234567890.000000002"
    assert (week["valueDecimal"], week["change"]["valueDecimal"]) == (exact, exact)


def test_analytics__events_themselves__are_never_read(house):
    meter = define(house.id)
    report(house.id, event(meter.slug, 3, at=datetime.now(UTC)))
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute("DELETE FROM billing_usage_event WHERE tenant_id = %s", [house.id])

    assert one(house, meter)["value"] == 3


@pytest.mark.parametrize("query", ["days=30", "days=-1", "days=x", "top=0", "top=51"])
def test_analytics__malformed_question__is_named(house, query):
    body = call(house.key, "GET", f"v1/usage/analytics?{query}", status=400)

    assert body["errors"][0]["pointer"] == f"/query/{query.partition('=')[0]}"


def test_analytics__unknown_or_foreign_meter__is_404(house):
    foreign = define(make_house("enterprise").id)

    for slug in (word(), foreign.slug):
        body = call(house.key, "GET", f"v1/usage/analytics?meter={slug}", status=404)
        assert body["code"] == "meter_not_found"


def test_analytics__key_without_the_permission__is_refused(house):
    other = make_key(house.id, ("meters:read",))

    body = call(other, "GET", "v1/usage/analytics", status=403)

    assert body["code"] == "insufficient_permissions"


def test_analytics__platform_key__asks_for_the_tenant_that_it_names(house, platform_key):
    meter = define(house.id)
    report(house.id, event(meter.slug, 8, at=datetime.now(UTC)))

    call(platform_key, "GET", "v1/usage/analytics", status=400)
    body = call(
        platform_key,
        "GET",
        f"v1/usage/analytics?meter={meter.slug}",
        **{"Innkeeper-Tenant": house.public_id},
    )

    assert [Decimal(one["valueDecimal"]) for one in body["meters"]] == [8]
