"""What a period will come to: the use so far, and what its remaining days are expected to add.

Each remaining day is expected to bring what its weekday brought on average in the days observed
(at most four weeks), the rest of today its share of that. It is the mean method applied to each
season, or least squares on the seven dummies of the weekday: R. J. Hyndman and G. Athanasopoulos,
"Forecasting: Principles and Practice", 3rd ed., sections 5.2 and 7.4 (https://otexts.com/fpp3/).
With fewer than two weeks there is no weekday to tell from chance: one mean serves all days.

The interval is that of section 5.5: normal, with the residual deviation s of the days observed
(degrees of freedom: days less means). A mean of K days that is used for n days makes their sum
uncertain by s² (n + n²/K): the days' own noise, and the mean's, which all of them share. The rest
of a day counts as its share of one. What was used already is no estimate, so no bound lies below it
unless a day was negative. Arithmetic is exact until the last step, rounded to six places.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction
from math import isqrt
from typing import Final

from billing.usage.exact import EXACT, added

HISTORY: Final = 28
"""How many complete days are looked at, at most."""
TWO_WEEKS: Final = 14
FEWEST: Final = 2
LEVELS: Final[Mapping[int, Fraction]] = {80: Fraction(128, 100), 95: Fraction(196, 100)}
"""Multiples of the deviation by coverage in percent (table 5.1 of the source)."""
_PLACES: Final = 6
_UNIT: Final = 10**_PLACES


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the figure lies with a probability of ``level`` percent."""

    level: int
    lower: Decimal
    upper: Decimal


@dataclass(frozen=True, slots=True)
class Forecast:
    """An expected figure. ``method`` is weekday_mean or mean, ``days`` how many it is told from."""

    method: str
    days: int
    value: Decimal
    intervals: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left of a period: the rest of ``today``, a share of it, and days until ``end``."""

    today: date
    share: Fraction
    end: date

    def by_weekday(self) -> dict[int, Fraction]:
        """Give how many days of each weekday (Monday is 0) are still to come."""
        weeks, more = divmod(max((self.end - self.today).days - 1, 0), 7)
        first = self.today.weekday() + 1
        found = dict.fromkeys(range(7), Fraction(weeks))
        for weekday in range(first, first + more):
            found[weekday % 7] += 1
        found[self.today.weekday()] += self.share
        return found


def forecast(
    used: Decimal, observed: Sequence[tuple[date, Decimal]], remaining: Remaining
) -> Forecast | None:
    """Say what a sum will come to. ``observed`` are complete days, empty ones as 0.

    None where fewer than two days were observed: there is nothing to tell noise from.
    """
    days = observed[-HISTORY:]
    if len(days) < FEWEST:
        return None
    seasonal = len(days) >= TWO_WEEKS
    amounts: dict[int, list[Decimal]] = defaultdict(list)
    for day, amount in days:
        amounts[day.weekday() if seasonal else 0].append(amount)
    seasons = {season: _season(all_) for season, all_ in amounts.items()}
    ahead: dict[int, Fraction] = defaultdict(Fraction)
    for weekday, many in remaining.by_weekday().items():
        ahead[weekday if seasonal else 0] += many
    so_far = Fraction(used)
    expected = so_far + _sum(many * seasons[season].mean for season, many in ahead.items())
    noise = _sum(season.noise for season in seasons.values())
    spread = _sum(many + many * many / seasons[season].days for season, many in ahead.items())
    variance = noise / (len(days) - len(seasons)) * spread
    floor = so_far if all(amount >= 0 for _, amount in days) else None
    return Forecast(
        method="weekday_mean" if seasonal else "mean",
        days=len(days),
        value=rounded(expected),
        intervals=tuple(_interval(level, expected, variance, floor) for level in LEVELS),
    )


@dataclass(frozen=True, slots=True)
class _Season:
    """Days that share a mean; ``noise`` is the sum of their squared distances from it."""

    days: int
    mean: Fraction
    noise: Fraction


def _season(amounts: Sequence[Decimal]) -> _Season:
    total = Fraction(added(amounts))
    squares = Fraction(added(EXACT.multiply(amount, amount) for amount in amounts))
    return _Season(len(amounts), total / len(amounts), squares - total * total / len(amounts))


def _sum(amounts: Iterable[Fraction]) -> Fraction:
    return sum(amounts, Fraction(0))


def _interval(level: int, centre: Fraction, variance: Fraction, floor: Fraction | None) -> Interval:
    half = LEVELS[level] * _root(variance)
    lower = centre - half
    if floor is not None:
        lower = max(lower, floor)
    return Interval(level, rounded(lower), rounded(centre + half))


def _root(value: Fraction) -> Fraction:
    """Give the square root, down to twice the places that are shown."""
    unit = _UNIT**2
    return Fraction(isqrt(value.numerator * unit**2 // value.denominator), unit)


def rounded(value: Fraction) -> Decimal:
    """Round to six places, half to even, without trailing zeros, whatever the number's size."""
    exact = Decimal(f"{round(value * _UNIT)}E-{_PLACES}")
    with localcontext(prec=max(len(exact.as_tuple().digits), 1) + 1):
        shorter = exact.normalize()
    return shorter if shorter.as_tuple().exponent < 0 else Decimal(int(shorter))  # type: ignore[operator]  # finite: a number
