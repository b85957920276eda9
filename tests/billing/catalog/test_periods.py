"""Periods: civil, anchored, contiguous, in every zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.catalog.models.periods import instant, period_at
from billing.catalog.models.values import Interval

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "America/Sao_Paulo",
        "Asia/Beirut",
        "Africa/Cairo",
        "America/St_Johns",
    )
]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def test_month__berlin_in_march__starts_and_ends_at_local_midnights_across_the_clock_change():
    period = period_at(Interval.MONTH, utc(2026, 3, 15, 12), BERLIN)

    assert (period.start, period.end) == (utc(2026, 2, 28, 23), utc(2026, 3, 31, 22))


def test_day__clock_goes_forward__has_23_hours():
    period = period_at(Interval.DAY, utc(2026, 3, 29, 12), BERLIN)

    assert period.end - period.start == timedelta(hours=23)


def test_week__midweek__starts_on_monday():
    period = period_at(Interval.WEEK, utc(2026, 11, 28, 12), ZoneInfo("UTC"))

    assert (period.start, period.end) == (utc(2026, 11, 23), utc(2026, 11, 30))


def test_year__new_year_eve_in_kathmandu__is_the_local_year():
    period = period_at(Interval.YEAR, utc(2026, 12, 31, 18, 15), ZoneInfo("Asia/Kathmandu"))

    assert period.start == utc(2026, 12, 31, 18, 15)


@pytest.mark.parametrize(
    ("at", "start", "end"),
    [
        (utc(2027, 2, 10), utc(2027, 1, 31), utc(2027, 2, 28)),
        (utc(2027, 3, 10), utc(2027, 2, 28), utc(2027, 3, 31)),
        (utc(2027, 4, 30), utc(2027, 4, 30), utc(2027, 5, 31)),
        (utc(2026, 12, 30), utc(2026, 11, 30), utc(2026, 12, 31)),
    ],
)
def test_month__anchor_on_the_31st__is_clamped_from_the_anchor_each_time(at, start, end):
    period = period_at(Interval.MONTH, at, ZoneInfo("UTC"), anchor=utc(2027, 1, 31))

    assert (period.start, period.end) == (start, end)


def test_instant__midnight_inside_a_gap__is_the_first_instant_after_it():
    # Sao Paulo sprang from 00:00 to 01:00 on 4 November 2018.
    midnight = datetime(2018, 11, 4)  # noqa: DTZ001

    assert instant(midnight, ZoneInfo("America/Sao_Paulo")) == utc(2018, 11, 4, 3)


def test_instant__day_skipped_altogether__is_the_next_existing_midnight():
    # Samoa had no 30 December 2011.
    skipped = datetime(2011, 12, 30)  # noqa: DTZ001

    assert instant(skipped, ZoneInfo("Pacific/Apia")) == utc(2011, 12, 30, 10)


def test_instant__gap_that_starts_before_midnight__is_the_transition_itself():
    # Toronto sprang from 23:30 on 30 March 1919 to 00:30 on the 31st.
    midnight = datetime(1919, 3, 31)  # noqa: DTZ001

    assert instant(midnight, ZoneInfo("America/Toronto")) == utc(1919, 3, 31, 4, 30)


@given(
    at=st.datetimes(datetime(2000, 1, 1), datetime(2035, 1, 1)),  # noqa: DTZ001
    zone=st.sampled_from(ZONES),
    interval=st.sampled_from(list(Interval)),
    anchor=st.none() | st.datetimes(datetime(2001, 1, 1), datetime(2034, 1, 1)),  # noqa: DTZ001
)
def test_periods__any_instant__contain_it_and_follow_each_other_without_a_gap(
    at, zone, interval, anchor
):
    at = at.replace(tzinfo=UTC)
    anchor = anchor and anchor.replace(tzinfo=UTC)

    period = period_at(interval, at, zone, anchor)

    assert period.start <= at < period.end
    assert period_at(interval, period.end, zone, anchor).start == period.end
    assert period_at(interval, period.end - timedelta(microseconds=1), zone, anchor) == period
