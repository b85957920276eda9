"""What a period will come to, against figures worked out by hand and by throwing dice."""

import random
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from billing.usage.forecast import Remaining, forecast, rounded

MONDAY = date(2026, 6, 1)
"""Of a month with 30 days that begins with a week."""


def days(*amounts: object, last: date = MONDAY) -> list[tuple[date, Decimal]]:
    """Give complete days that end with the one before ``last``."""
    first = last - timedelta(days=len(amounts))
    return [(first + timedelta(days=n), Decimal(str(one))) for n, one in enumerate(amounts)]


def at(today: date, share: object = 1, end: date = date(2026, 7, 1)) -> Remaining:
    return Remaining(today, Fraction(str(share)), end)


def test_forecast__weekly_rhythm__is_carried_on():
    week = (10, 20, 30, 40, 50, 0, 0)

    found = forecast(Decimal(0), days(*week, *week, *week, *week), at(MONDAY))

    # Four whole weeks, then a Monday and a Tuesday.
    assert (found.method, found.days, found.value) == ("weekday_mean", 28, 4 * 150 + 30)
    assert [(one.level, one.lower, one.upper) for one in found.intervals] == [
        (80, 630, 630),
        (95, 630, 630),
    ]


def test_forecast__two_weeks_that_differ__is_as_worked_out_by_hand():
    # Means 11, each residual 1 and df 14 - 7: s² = 2. Left: half a Monday and a Tuesday.
    observed = days(*[10] * 7, *[12] * 7)

    found = forecast(Decimal(100), observed, at(MONDAY, "0.5", MONDAY + timedelta(days=2)))

    # s² ((0.5 + 0.25 / 2) + (1 + 1 / 2)) = 4.25, its root 2.0615528128…
    assert found.value == Decimal("116.5")
    narrow, wide = found.intervals
    assert (narrow.lower, narrow.upper) == (Decimal("113.861212"), Decimal("119.138788"))
    assert (wide.lower, wide.upper) == (Decimal("112.459356"), Decimal("120.540644"))


def test_forecast__less_than_two_weeks__is_one_mean():
    found = forecast(Decimal(1), days(1, 2, 3), at(MONDAY, 1, MONDAY + timedelta(days=3)))

    # s² = 1, three days of one mean of three: 1 · (3 + 9 / 3) = 6.
    assert (found.method, found.days, found.value) == ("mean", 3, 7)
    assert found.intervals[0].upper == Decimal("10.135347")
    assert found.intervals[0].lower == Decimal("3.864653")


@pytest.mark.parametrize("observed", [(), (5,)])
def test_forecast__fewer_than_two_days__is_none(observed):
    assert forecast(Decimal(3), days(*observed), at(MONDAY)) is None


def test_forecast__what_was_used__is_no_estimate():
    rough = days(0, 100, 0, 0)

    used = forecast(Decimal(50), rough, at(MONDAY, "0.1", MONDAY + timedelta(days=1)))
    refunded = forecast(
        Decimal(50), days(0, 100, 0, -1), at(MONDAY, "0.1", MONDAY + timedelta(days=1))
    )

    assert used.intervals[1].lower == 50
    assert refunded.intervals[1].lower < 50


def test_forecast__end_of_the_period__is_what_was_used():
    found = forecast(Decimal(7), days(1, 9), at(MONDAY, 0, MONDAY + timedelta(days=1)))

    assert found.value == 7
    assert {bound for one in found.intervals for bound in (one.lower, one.upper)} == {7}


def test_forecast__longer_past__counts_its_last_four_weeks():
    found = forecast(Decimal(0), days(*[1000] * 28, *[1] * 28), at(MONDAY))

    assert (found.days, found.value) == (28, 30)


def test_forecast__huge_numbers__stay_exact():
    huge = 10**40 + 1

    found = forecast(Decimal(huge), days(huge, huge), at(MONDAY, 1, MONDAY + timedelta(days=1)))

    assert found.value == 2 * huge
    assert format(rounded(Fraction(huge)), "f") == str(huge)


def test_forecast__intervals__hold_as_often_as_they_say():
    dice = random.Random(2026)
    inside = {80: 0, 95: 0}
    rounds = 400

    for _ in range(rounds):
        draws = [Decimal(round(dice.gauss(1000 + 300 * (n % 7), 80))) for n in range(28 + 20)]
        observed = days(*draws[:28])
        found = forecast(Decimal(0), observed, at(MONDAY, 1, MONDAY + timedelta(days=20)))
        for one in found.intervals:
            inside[one.level] += one.lower <= sum(draws[28:]) <= one.upper

    assert 0.75 < inside[80] / rounds < 0.85
    assert 0.92 < inside[95] / rounds < 0.98
