"""How a metered entitlement stands: balance, overage, access, and when it runs out."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.catalog.models.periods import Period
from billing.entitlements.queries.values import Metered
from billing.usage.queries.rates import per_hour, since

START = datetime(2026, 11, 1, tzinfo=UTC)
PERIOD = Period(START, START + timedelta(days=30))


def standing(limit, used, reserved=0, *, soft=False, rate=None):
    return Metered(
        None if limit is None else Decimal(limit),
        soft,
        Decimal(used),
        Decimal(reserved),
        PERIOD,
        rate=None if rate is None else Decimal(rate),
    )


@pytest.mark.parametrize(
    ("given", "balance", "remaining", "overage", "access"),
    [
        (standing(10, 4), 6, 6, 0, True),
        (standing(10, 4, 6), 6, 0, 0, False),
        (standing(10, 10), 0, 0, 0, False),
        (standing(10, 12), 0, 0, 2, False),
        (standing(10, 12, soft=True), 0, 0, 2, True),
        (standing(0, 0), 0, 0, 0, False),
        (standing(None, 12), None, None, 0, True),
    ],
)
def test_standing__limit_use_and_holds__lead_to(given, balance, remaining, overage, access):
    assert (given.balance, given.remaining) == (balance, remaining)
    assert (given.overage, given.has_access) == (overage, access)


@pytest.mark.parametrize(
    ("given", "hours"),
    [
        (standing(100, 50, rate=5), 10),
        (standing(100, 100, rate=5), 0),
        (standing(100, 40, rate="0.5"), 120),
        (standing(1000, 0, rate=1), None),
        (standing(100, 50, rate=0), None),
        (standing(100, 50), None),
        (standing(None, 50, rate=5), None),
    ],
)
def test_exhausted_at__use_goes_on_as_of_late__is_the_hour_or_nothing(given, hours):
    now = START + timedelta(days=10)

    at = given.exhausted_at(now)

    assert at == (None if hours is None else now + timedelta(hours=hours))


@pytest.mark.parametrize(
    ("at", "expected"), [("10:00:00", "09:15"), ("10:14:59", "09:15"), ("10:15:00", "09:30")]
)
def test_since__now__is_the_third_quarter_of_an_hour_before_the_running_one(at, expected):
    now = datetime.fromisoformat(f"2026-11-11T{at}+00:00")

    assert since(now) == datetime.fromisoformat(f"2026-11-11T{expected}:00+00:00")


def test_per_hour__used_since_the_buckets_began__is_spread_over_that_time():
    now = START + timedelta(days=1)

    assert per_hour(Decimal(50), now) == Decimal(50) * 3600 / (45 * 60)
    assert per_hour(Decimal(50), now + timedelta(minutes=10)) == Decimal(50) * 3600 / (55 * 60)
