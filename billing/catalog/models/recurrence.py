"""Recurring instants: an interval counted from an anchor, civil in a zone.

Rules as in periods.py: boundary k is the anchor plus k intervals, never the boundary before plus
one (31 Jan, 28 Feb, 31 Mar), and a boundary that the zone's clock skips is the first instant after.
Intervals are whole days or whole months; OpenMeter's words and ISO 8601 durations name them.
"""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from billing.catalog.models.periods import Period, instant
from billing.catalog.models.values import Interval
from kernel.errors import Invalid

_WORDS: Final = {"DAY": (0, 1), "WEEK": (0, 7), "MONTH": (1, 0), "YEAR": (12, 0)}
_ISO: Final = re.compile(r"P(?:(\d{1,2})Y)?(?:(\d{1,3})M)?(?:(\d{1,3})W)?(?:(\d{1,4})D)?")
_MOST_MONTHS: Final = 120
_MOST_DAYS: Final = 3660


@dataclass(frozen=True, slots=True)
class Cadence:
    """An interval of whole months or of whole days; exactly one of the two is not 0."""

    months: int
    days: int

    @classmethod
    def parse(cls, text: str, pointer: str = "/interval") -> "Cadence":
        """Read DAY, WEEK, MONTH, YEAR or an ISO 8601 duration such as P1M or P14D.

        Raises:
            kernel.errors.Invalid: anything else; parts of days, months together with days, none.
        """
        if text in _WORDS:
            return cls(*_WORDS[text])
        found = _ISO.fullmatch(text)
        parts = found.groups() if found else ("",) * 4
        years, months, weeks, days = (int(part or 0) for part in parts)
        cadence = cls(12 * years + months, 7 * weeks + days)
        if (cadence.months == 0) == (cadence.days == 0):
            raise Invalid(
                "An interval is DAY, WEEK, MONTH, YEAR, or a duration of whole days or whole months"
                " such as P1M or P14D.",
                pointer=pointer,
            )
        if cadence.months > _MOST_MONTHS or cadence.days > _MOST_DAYS:
            raise Invalid("An interval is at most ten years.", pointer=pointer)
        return cadence

    @property
    def iso(self) -> str:
        """Write it as ISO 8601: P1Y, P1M, P1W, P1D."""
        if self.months:
            years, rest = divmod(self.months, 12)
            return f"P{self.months}M" if rest else f"P{years}Y"
        weeks, rest = divmod(self.days, 7)
        return f"P{self.days}D" if rest else f"P{weeks}W"

    @property
    def word(self) -> str:
        """Write it as OpenMeter does: a word where there is one, else ISO 8601."""
        found = [word for word, parts in _WORDS.items() if parts == (self.months, self.days)]
        return found[0] if found else self.iso

    @property
    def interval(self) -> Interval:
        """Give the calendar's interval nearest to it, from below."""
        if self.months:
            return Interval.YEAR if self.months >= _WORDS["YEAR"][0] else Interval.MONTH
        return Interval.WEEK if self.days >= _WORDS["WEEK"][1] else Interval.DAY

    def after(self, civil: datetime, number: int) -> datetime:
        """Add the interval ``number`` times to a civil time."""
        if self.days:
            return civil + timedelta(days=number * self.days)
        year, month = divmod(civil.year * 12 + civil.month - 1 + number * self.months, 12)
        day = min(civil.day, calendar.monthrange(year, month + 1)[1])
        return civil.replace(year=year, month=month + 1, day=day)

    def steps(self, start: datetime, end: datetime) -> int:
        """Estimate how many intervals lie between two civil times, off by one at most."""
        if self.days:
            return (end - start).days // self.days
        return ((end.year - start.year) * 12 + end.month - start.month) // self.months


CADENCES: Final = {interval: Cadence.parse(interval.value.upper()) for interval in Interval}
"""The cadence of each interval of the calendar."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Instants that recur: the anchor, and all that lie whole intervals before and after it."""

    cadence: Cadence
    anchor: datetime
    zone: ZoneInfo

    def boundary(self, number: int) -> datetime:
        """Give the instant that lies ``number`` intervals after the anchor."""
        civil = self.anchor.astimezone(self.zone).replace(tzinfo=None)
        return instant(self.cadence.after(civil, number), self.zone)

    def number(self, at: datetime) -> int:
        """Say how many intervals after the anchor the period of an instant starts."""
        start, now = (time.astimezone(self.zone).replace(tzinfo=None) for time in (self.anchor, at))
        number = self.cadence.steps(start, now)
        while self.boundary(number) > at:
            number -= 1
        while self.boundary(number + 1) <= at:
            number += 1
        return number

    def period(self, at: datetime) -> Period:
        """Give the period that contains an instant."""
        number = self.number(at)
        return Period(self.boundary(number), self.boundary(number + 1))

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Go through the boundaries in [start, end)."""
        number = self.number(start)
        if self.boundary(number) < start:
            number += 1
        while (boundary := self.boundary(number)) < end:
            yield boundary
            number += 1
