"""Calendar periods of an allowance: half-open [start, end) of civil days in a zone.

Rules: boundary k is the anchor plus k intervals, counted from
the anchor and never from the boundary before (31 Jan, 28 Feb, 31 Mar). A boundary that the zone's
clock skips is the first instant after the gap; one that occurs twice is the first of the two.
"""

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from billing.catalog.models.values import Interval

MONDAY: Final = datetime(1970, 1, 5)  # noqa: DTZ001 - civil times carry no zone
NEW_YEAR: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - civil times carry no zone
_MONTHS: Final = {Interval.MONTH: 1, Interval.YEAR: 12}
_DAYS: Final = {Interval.DAY: 1, Interval.WEEK: 7}
_STEP: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Period:
    """The instants [start, end), in UTC."""

    start: datetime
    end: datetime


def period_at(
    interval: Interval, at: datetime, zone: ZoneInfo, anchor: datetime | None = None
) -> Period:
    """Give the period of the interval that contains the instant ``at``.

    ``anchor`` is an aware instant, one boundary of the sequence; without one, periods are those of
    the calendar: days, weeks from Monday, months from the 1st, years from 1 January.
    """
    civil = _civil_anchor(interval, zone, anchor)
    number = _estimate(interval, at.astimezone(zone).replace(tzinfo=None), civil)
    while instant(_boundary(interval, civil, number), zone) > at:
        number -= 1
    while instant(_boundary(interval, civil, number + 1), zone) <= at:
        number += 1
    return Period(
        instant(_boundary(interval, civil, number), zone),
        instant(_boundary(interval, civil, number + 1), zone),
    )


def instant(civil: datetime, zone: ZoneInfo) -> datetime:
    """Give the UTC instant at which the zone's clock first shows ``civil`` or a later time."""
    early = civil.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if early.astimezone(zone).replace(tzinfo=None) == civil:
        return early
    late = early  # in a gap, fold 0 lands after it and fold 1 before it
    early = civil.replace(tzinfo=zone, fold=1).astimezone(UTC)
    after = late.astimezone(zone).utcoffset()
    while late - early > _STEP:
        middle = early + (late - early) / 2
        if middle.astimezone(zone).utcoffset() == after:
            late = middle
        else:
            early = middle
    return late


def _civil_anchor(interval: Interval, zone: ZoneInfo, anchor: datetime | None) -> datetime:
    if anchor is not None:
        return anchor.astimezone(zone).replace(tzinfo=None)
    return MONDAY if interval is Interval.WEEK else NEW_YEAR


def _estimate(interval: Interval, civil: datetime, anchor: datetime) -> int:
    if interval in _MONTHS:
        months = (civil.year - anchor.year) * 12 + civil.month - anchor.month
        return months // _MONTHS[interval]
    return (civil - anchor).days // _DAYS[interval]


def _boundary(interval: Interval, anchor: datetime, number: int) -> datetime:
    if interval in _DAYS:
        return anchor + timedelta(days=number * _DAYS[interval])
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + number * _MONTHS[interval], 12)
    day = min(anchor.day, calendar.monthrange(year, month + 1)[1])
    return anchor.replace(year=year, month=month + 1, day=day)
