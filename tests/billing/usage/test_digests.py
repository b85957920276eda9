"""Days told once more in few rows: figures are the same with them, and never older than the last
commit."""

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings

from billing.usage.models import Meter
from billing.usage.queries.analytics import analytics
from billing.usage.queries.current import current
from billing.usage.queries.question import WindowSize
from billing.usage.services import amending, digesting
from kernel import db, tenancy
from kernel.gate.wire import conninfo
from tests.billing.house import House, make_house
from tests.billing.usage.reports import as_staff, define, event, read, report, total, word
from tests.billing.usage.test_recount import differing
from tests.billing.usage.test_recounted_by_hand import (
    BY_HAND,
    GROUPS,
    STEADY,
    Story,
    by_hand,
    same,
    sent,
    shown,
    stories,
)

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
WEEK = {"start": MIDNIGHT - timedelta(days=3), "end": MIDNIGHT + timedelta(days=4)}


@pytest.fixture(scope="module")
def tenant(session_database) -> House:
    return make_house("enterprise")


@pytest.fixture(scope="module")
def meters(tenant: House) -> dict[str, Meter]:
    """One meter for each aggregation over the same events."""
    kind = word()
    return {name: define(tenant.id, name, kind, group_by=GROUPS) for name in [*BY_HAND, "COUNT"]}


def digest(tenant_id: UUID, *meters: Meter) -> int:
    """Make the digests of all days with events; give how many were made."""
    with as_staff():
        return sum(
            bool(
                db.rows("SELECT billing_usage_make_digest($1::uuid, $2::uuid, $3::date)", row)[0][0]
            )
            for meter in meters
            for row in db.rows(
                "SELECT DISTINCT meter_id, tenant_id, (bucket AT TIME ZONE 'UTC')::date"
                " FROM billing_usage_rollup WHERE tenant_id = $1::uuid AND meter_id = $2::uuid",
                [tenant_id, meter.id],
            )
        )


def holding(tenant_id: UUID, meter: Meter) -> list[str]:
    """The days whose digest queries would take."""
    with tenancy.tenant_context(tenant_id):
        ((days,),) = db.rows(
            "SELECT billing_usage_digested_days($1::uuid, $2::uuid, NULL, NULL, true, false, '{}')",
            [meter.id, tenant_id],
        )
    return [str(day) for day in days]


def lie(meter: Meter) -> None:
    """Let the digests say what is not so: whoever reads them gives himself away."""
    with as_staff(), db.cursor() as cursor:
        cursor.execute(
            "UPDATE billing_usage_digest SET total = total + 1000, totals = array_append(totals, 0)"
            " WHERE meter_id = %s",
            [meter.id],
        )


@settings(STEADY, max_examples=10)
@given(story=stories(asked=3))
def test_aggregations__days_with_digests_and_changes_since__are_what_a_count_by_hand_gives(
    tenant, meters, story
):
    """Half of the events come after the digests, and so do voids and corrections."""
    owner, half = f"{word()}-", len(story.facts) // 2
    kind = meters["SUM"].event_type
    early = sent(tenant, kind, Story(story.facts[:half], [], []), owner) if half else []
    digest(tenant.id, *meters.values())
    late = sent(tenant, kind, Story(story.facts[half:], story.changes, []), owner)

    for again in (False, True):
        if again:
            digest(tenant.id, *meters.values())
        for question in story.questions:
            for name in [*BY_HAND, "COUNT"]:
                expected = by_hand(name, [*early, *late], question)
                subjects = [f"{owner}a", f"{owner}b"]
                rows = read(tenant.id, meters[name], subjects=subjects, **question)
                assert same(shown(rows, question, owner), expected), (name, again, question)


def test_verify_usage__after_all_of_it__names_none_of_the_meters(meters):
    assert [differing(meter) for meter in meters.values()] == [""] * len(meters)


def test_query__digests_that_hold__are_read_for_whole_days_and_parts_of_days(tenant):
    meter = define(tenant.id)
    hours = [MIDNIGHT + timedelta(hours=hour) for hour in range(48)]
    report(tenant.id, *(event(meter.slug, at=at) for at in hours))
    assert digest(tenant.id, meter) == 2
    lie(meter)

    assert total(tenant.id, meter, **WEEK) == 48 + 2000
    rows = read(tenant.id, meter, **WEEK, window=WindowSize.DAY, zone="Asia/Kathmandu")
    # A day there begins at 18:15: the lie about whole days is in none of the parts.
    assert [row.value for row in rows] == [19, 24, 5]


def test_query__event_of_an_old_day__is_in_the_first_answer_after_it(tenant):
    meter = define(tenant.id)
    report(tenant.id, event(meter.slug, 2, at=MIDNIGHT))
    report(tenant.id, event(meter.slug, 3, at=MIDNIGHT + timedelta(days=1)))
    digest(tenant.id, meter)
    assert holding(tenant.id, meter) == ["2026-03-02", "2026-03-03"]

    report(tenant.id, event(meter.slug, 5, at=MIDNIGHT + timedelta(hours=1)))

    assert total(tenant.id, meter, **WEEK) == 10
    assert holding(tenant.id, meter) == ["2026-03-03"]


def test_query__event_of_a_day_without_any__is_in_the_first_answer_after_it(tenant):
    meter = define(tenant.id)
    report(tenant.id, event(meter.slug, 2, at=MIDNIGHT))
    digest(tenant.id, meter)
    with as_staff():  # a day without events
        db.rows(
            "SELECT billing_usage_make_digest($1::uuid, $2::uuid, '2026-03-04')",
            [meter.id, tenant.id],
        )
    assert holding(tenant.id, meter) == ["2026-03-02", "2026-03-04"]

    report(tenant.id, event(meter.slug, 5, at=MIDNIGHT + timedelta(days=2)))

    assert total(tenant.id, meter, **WEEK) == 7


@pytest.mark.parametrize("aggregation", ["SUM", "UNIQUE_COUNT", "P50"])
def test_query__void_event_of_a_day_with_a_digest__is_no_more(tenant, aggregation):
    meter = define(tenant.id, aggregation)
    sent = event(meter.slug, 7, at=MIDNIGHT)
    report(tenant.id, sent)
    digest(tenant.id, meter)
    assert total(tenant.id, meter, **WEEK)

    with tenancy.tenant_context(tenant.id):
        amending.void(tenant_id=tenant.id, source="svc", event_id=sent["id"], reason="sent twice")

    assert not total(tenant.id, meter, **WEEK)


def test_query__event_that_is_not_committed__neither_counts_nor_outdates(tenant):
    meter = define(tenant.id)
    report(tenant.id, event(meter.slug, 2, at=MIDNIGHT))
    digest(tenant.id, meter)

    with tenancy.tenant_context(tenant.id), pytest.raises(RuntimeError), db.atomic():
        report(tenant.id, event(meter.slug, 5, at=MIDNIGHT))
        raise RuntimeError

    assert total(tenant.id, meter, **WEEK) == 2
    assert holding(tenant.id, meter) == ["2026-03-02"]


def test_make_digest__day_that_somebody_writes_into__is_left_and_noted(tenant):
    meter = define(tenant.id)
    report(tenant.id, event(meter.slug, 2, at=MIDNIGHT))
    with psycopg.connect(conninfo("default")) as writer:
        writer.execute(
            "SELECT pg_advisory_xact_lock_shared(billing_usage_lock(%s, %s, %s))",
            [tenant.id, meter.event_type, MIDNIGHT],
        )
        assert digest(tenant.id, meter) == 0

    digesting.digest_changed(threading.Event())

    assert holding(tenant.id, meter) == ["2026-03-02"]


def test_make_digest__day_that_is_hardly_over__is_left(tenant):
    meter = define(tenant.id)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    report(tenant.id, event(meter.slug, 2, at=today))

    assert digest(tenant.id, meter) == 0


def test_digest_new__days_that_are_over__have_digests_afterwards(tenant):
    meter = define(tenant.id, "P95")
    days = [MIDNIGHT, MIDNIGHT + timedelta(days=40)]
    report(tenant.id, *(event(meter.slug, 2, at=at) for at in days))

    digesting.digest_new(threading.Event())

    assert holding(tenant.id, meter) == ["2026-03-02", "2026-04-11"]


def test_digest_new__day_that_cannot_be_made__holds_up_no_other(tenant, monkeypatch):
    meter = define(tenant.id)
    report(tenant.id, *(event(meter.slug, 2, at=MIDNIGHT + timedelta(days=n)) for n in range(3)))
    monkeypatch.setattr(
        digesting,
        "_MAKE",
        digesting._MAKE + " WHERE 1 / ($3::date - '2026-03-03'::date) <> 7",
    )

    digesting.digest_new(threading.Event())

    assert holding(tenant.id, meter) == ["2026-03-02", "2026-03-04"]
    assert total(tenant.id, meter, **WEEK) == 6


@pytest.mark.parametrize("value", ["0.1234567", "1e40", "-9000000000000.5"])
def test_percentile__value_that_millionths_do_not_hold__is_exact(tenant, value):
    meter = define(tenant.id, "P50")
    report(tenant.id, event(meter.slug, value, at=MIDNIGHT))
    report(tenant.id, event(meter.slug, 1, at=MIDNIGHT + timedelta(days=1)))
    digest(tenant.id, meter)
    around = {"start": MIDNIGHT, "end": MIDNIGHT + timedelta(hours=50)}
    expected = min(Decimal(value), Decimal(1))

    assert total(tenant.id, meter, **around) == expected

    report(tenant.id, event(meter.slug, value, at=MIDNIGHT + timedelta(hours=49)))
    report(tenant.id, event(meter.slug, value, at=MIDNIGHT + timedelta(hours=49, minutes=1)))
    assert total(tenant.id, meter, **around) == Decimal(value)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu"])
def test_overviews__days_with_digests__show_what_they_showed_without(zone):
    """Analytics and the usage of the running month, before and after the digests are made."""
    house, kind = make_house("enterprise", timezone=zone), word()
    meters = {
        name: define(house.id, name, kind)
        for name in ("SUM", "COUNT", "AVG", "MIN", "MAX", "LATEST", "UNIQUE_COUNT", "P95")
    }
    begin = datetime.now(UTC) - timedelta(days=61)
    report(
        house.id,
        *(
            event(kind, n * n % 101, at=begin + timedelta(hours=5 * n), subject=f"s{n % 7}")
            for n in range(292)
        ),
    )
    slugs = [meter.slug for meter in meters.values()]
    while True:  # once more where a quarter of an hour, by which figures are cut, ends in between
        until, without = overviews(house.id, slugs)
        assert digest(house.id, *meters.values()) > 7 * 50
        now, found = overviews(house.id, slugs)
        if now == until:
            break
        outdate(house.id, *meters.values())

    assert found == without
    lie(meters["SUM"])
    assert overviews(house.id, slugs)[1] != without


def outdate(tenant_id: UUID, *meters: Meter) -> None:
    """Let no digest hold any more."""
    with as_staff(), db.cursor() as cursor:
        cursor.execute(
            "INSERT INTO billing_usage_outdated SELECT tenant_id, meter_id, day"
            " FROM billing_usage_digested WHERE tenant_id = %s AND meter_id = ANY (%s)",
            [tenant_id, [meter.id for meter in meters]],
        )


def overviews(tenant_id: UUID, slugs: list[str]) -> tuple[object, list[object]]:
    """Where figures are cut, and these; forecasts follow from them, and from the clock."""
    with tenancy.tenant_context(tenant_id):
        found = analytics(tenant_id, slugs, days=29, top=3)
        _, used = current()
    return found.calendar.edges, [
        *((one.meter.slug, one.month, one.week, one.days, one.subjects) for one in found.meters),
        *((one.meter.slug, one.value) for one in used if one.meter.slug in slugs),
    ]


def test_verify_usage__digest_that_lies__is_named(tenant):
    meter = define(tenant.id)
    report(tenant.id, event(meter.slug, 5, at=MIDNIGHT))
    digest(tenant.id, meter)
    assert differing(meter) == ""

    lie(meter)

    assert "'total': 1005" in differing(meter)
    digest(tenant.id, meter)
    assert differing(meter) == ""
