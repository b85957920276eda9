"""How a metered entitlement stands: balance, overage, access, and when it runs out."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.catalog.models.periods import Period
from billing.entitlements.queries.values import Metered

START = datetime(2026, 11, 1, tzinfo=UTC)
PERIOD = Period(START, START + timedelta(days=30))


def standing(limit, used, reserved=0, *, soft=False):
    return Metered(
        None if limit is None else Decimal(limit), soft, Decimal(used), Decimal(reserved), PERIOD
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
    ("given", "day", "expected"),
    [
        (standing(100, 50), 10, 20),
        (standing(100, 100), 10, 10),
        (standing(100, 33), 10, None),
        (standing(90, 30), 10, None),
        (standing(100, 0), 10, None),
        (standing(None, 50), 10, None),
        (standing(100, 50), 0, None),
    ],
)
def test_exhausted_at__use_goes_on_as_so_far__is_the_day_or_nothing(given, day, expected):
    at = given.exhausted_at(START + timedelta(days=day))

    assert at == (None if expected is None else START + timedelta(days=expected))
