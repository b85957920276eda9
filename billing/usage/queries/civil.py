"""The civil days and months around now, in the tenant's zone, as instants."""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Final
from uuid import UUID

from billing.usage.forecast import HISTORY, Remaining
from kernel import db

# Days are found by their noon, which every zone has. `cut` is as far into the month before as now
# is into this one, by the wall clock, in whole quarter hours.
_CALENDAR: Final = """
SELECT timezone, created_at, now(), month, billing_usage_window_end('month', month, timezone),
       before, billing_usage_bucket(LEAST(month, (local - month AT TIME ZONE timezone
                                          + before AT TIME ZONE timezone) AT TIME ZONE timezone)),
       days.dates, days.starts
FROM tenants_tenant,
LATERAL (SELECT now() AT TIME ZONE timezone AS local,
                billing_usage_window('month', now(), timezone) AS month) AS here,
LATERAL billing_usage_window('month', month - interval '1 day', timezone) AS before,
LATERAL (
  SELECT array_agg(noon::date ORDER BY noon) AS dates, array_agg(
    billing_usage_window('day', noon AT TIME ZONE timezone, timezone) ORDER BY noon) AS starts
  FROM generate_series(
    LEAST(before AT TIME ZONE timezone + interval '12 hours',
          date_trunc('day', local) + interval '12 hours' - make_interval(days => $2::int)),
    date_trunc('day', local) + interval '36 hours', interval '1 day') AS noon
) AS days
WHERE id = $1::uuid
"""
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Calendar:
    """The running month [start, end), the one before, and all days since then, today the last.

    ``cut`` ends the part of the month before that is as long as this one so far. ``starts`` has one
    more entry than ``dates``: the end of today.
    """

    zone: str
    since: datetime
    now: datetime
    start: datetime
    end: datetime
    before: datetime
    cut: datetime
    dates: tuple[date, ...]
    starts: tuple[datetime, ...]

    @property
    def edges(self) -> list[datetime]:
        """Give every instant at which something of interest begins or ends, in order."""
        return sorted({*self.starts, self.cut})

    @property
    def day_spans(self) -> list[tuple[date, Span]]:
        """Give each day with its beginning and end."""
        return list(zip(self.dates, zip(self.starts, self.starts[1:], strict=False), strict=True))

    @property
    def month(self) -> Span:
        """Give the running month up to the end of today: nothing that counts lies further."""
        return self.start, self.starts[-1]

    @property
    def month_before(self) -> Span:
        """Give the comparable part of the month before."""
        return self.before, self.cut

    def back(self, first: int, last: int) -> Span:
        """Give the complete days from ``first`` to before ``last`` days ago; 0 is today."""
        return self.starts[-2 - first], self.starts[-2 - last]

    def day_of(self, at: datetime) -> date:
        """Name the day of an instant; the first day that is known for earlier ones."""
        return self.dates[max(bisect_right(self.starts, at) - 1, 0)]

    @property
    def remaining(self) -> Remaining:
        """Give what is left of the month."""
        begin, end = self.starts[-2:]
        today = self.dates[-1]
        after = (today.replace(day=28) + timedelta(days=4)).replace(day=1)
        return Remaining(today, _ratio(end - self.now, end - begin), after)


def calendar(tenant_id: UUID) -> Calendar:
    """Read the calendar of a tenant's zone, as PostgreSQL knows it."""
    ((zone, since, now, start, end, before, cut, dates, starts),) = db.rows(
        _CALENDAR, [tenant_id, HISTORY]
    )
    return Calendar(zone, since, now, start, end, before, cut, tuple(dates[:-1]), tuple(starts))


def _ratio(part: timedelta, whole: timedelta) -> Fraction:
    tick = timedelta(microseconds=1)
    return Fraction(part // tick, whole // tick)
