"""Civil windows of PostgreSQL against an oracle over Python's own time zones."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from kernel import db

STEP = timedelta(minutes=15)
# Half and quarter hour offsets, midnights that do not exist or come twice, a day that was skipped.
CASES = [
    ("UTC", datetime(2026, 2, 27, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 10, 31, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2025, 10, 25, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2026, 2, 27, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, tzinfo=UTC)),
    ("Pacific/Chatham", datetime(2026, 4, 4, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 3, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 2, 17, tzinfo=UTC)),
    ("America/Havana", datetime(2025, 11, 1, tzinfo=UTC)),
    ("Asia/Beirut", datetime(2024, 3, 30, tzinfo=UTC)),
    ("Asia/Beirut", datetime(2024, 10, 26, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 29, tzinfo=UTC)),
]


@cache
def first_instant(day: date, zone: ZoneInfo) -> datetime:
    """Give the first instant whose local date is ``day`` or a later one."""
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=16)
    while at.astimezone(zone).date() < day:
        at += STEP
    return at


def day_of(at: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    local = at.astimezone(zone).date()
    return first_instant(local, zone), first_instant(local + timedelta(days=1), zone)


def month_of(at: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    first = at.astimezone(zone).date().replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return first_instant(first, zone), first_instant(following, zone)


def of_database(unit: str, instants: list[datetime], zone: str) -> list[tuple[datetime, datetime]]:
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT start, billing_usage_window_end(%s, start, %s) FROM unnest(%s::timestamptz[])"
            " WITH ORDINALITY AS a (at, place),"
            " LATERAL billing_usage_window(%s, at, %s) AS start ORDER BY place",
            [unit, zone, instants, unit, zone],
        )
        return cursor.fetchall()


@pytest.mark.parametrize(("zone", "start"), CASES)
def test_window__day__is_the_civil_day_of_the_zone(zone, start):
    instants = [start + STEP * place for place in range(4 * 24 * 4)]

    windows = of_database("day", instants, zone)

    assert windows == [day_of(at, ZoneInfo(zone)) for at in instants]


@pytest.mark.parametrize(("zone", "start"), CASES)
def test_window__month__is_the_civil_month_of_the_zone(zone, start):
    instants = [start + timedelta(hours=5 * place) for place in range(40)]

    windows = of_database("month", instants, zone)

    assert windows == [month_of(at, ZoneInfo(zone)) for at in instants]


@pytest.mark.parametrize(("zone", "start"), CASES)
def test_window__hours__are_contiguous_and_hold_their_instant(zone, start):
    instants = [start + STEP * place for place in range(4 * 24 * 4)]

    windows = of_database("hour", instants, zone)

    assert all(low <= at < high for at, (low, high) in zip(instants, windows, strict=True))
    assert {high - low for low, high in windows} == {timedelta(hours=1)}
    edges = sorted(set(windows))
    assert all(a[1] <= b[0] or zone == "Australia/Lord_Howe" for a, b in pairwise(edges))
