"""How the use of each meter runs: against the month before, week by week, by day, by subject; and
what the running month will come to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from billing.usage.exact import EXACT
from billing.usage.forecast import HISTORY, Forecast, forecast
from billing.usage.models import Aggregation, Meter, Origin
from billing.usage.queries import meters as finding
from billing.usage.queries import slots
from billing.usage.queries.civil import Calendar, Span, calendar
from billing.usage.queries.slots import Held

WEEK: Final = 7
"""Days of the moving window: whole weeks, so that weekdays do not show as trends."""
_ADDITIVE: Final = frozenset({Aggregation.SUM, Aggregation.COUNT})


@dataclass(frozen=True, slots=True)
class Change:
    """A figure and the one that it is compared with; None where there is none."""

    value: Decimal | None
    previous: Decimal | None

    @property
    def difference(self) -> Decimal | None:
        """Give how much more it is now."""
        if self.value is None or self.previous is None:
            return None
        return EXACT.subtract(self.value, self.previous)

    @property
    def percent(self) -> float | None:
        """Give the difference in percent of the former figure, to two places; None from nothing."""
        difference = self.difference
        if difference is None or not self.previous:
            return None
        return round(float(difference / abs(self.previous) * 100), 2)


@dataclass(frozen=True, slots=True)
class Running:
    """One meter. ``days`` are the newest ones, today the last; ``forecast`` of sums only."""

    meter: Meter
    month: Change
    week: Change
    days: Sequence[tuple[Span, Decimal | None]]
    subjects: Sequence[tuple[str, Decimal]]
    forecast: Forecast | None


@dataclass(frozen=True, slots=True)
class Analytics:
    """The meters whose figures roll-ups give, and those that they do not."""

    calendar: Calendar
    meters: Sequence[Running]
    untold: Sequence[Meter]


def analytics(tenant_id: UUID, slugs: Sequence[str], *, days: int, top: int) -> Analytics:
    """Read the analytics of a tenant's meters, all or the named ones.

    Args:
        tenant_id: the tenant of the context.
        slugs: the meters' slugs; none means all.
        days: how many days to list, at most 28 and today.
        top: how many of each meter's subjects, by their figure in the running month.

    Raises:
        kernel.errors.NotFound: one of the meters is none that the context may see.
    """
    found = finding.live(slugs)
    here = calendar(tenant_id)
    spans = [here.month, here.month_before, here.back(WEEK, 0), here.back(2 * WEEK, WEEK)]
    listed = [span for _, span in here.day_spans[-days:]] if days else []
    cuts = slots.Cuts(edges=here.edges, spans=[*spans, *listed], top=top)
    held = slots.read(tenant_id, found, cuts)
    told = [_running(meter, held[meter.id], here, cuts) for meter in found if meter.id in held]
    return Analytics(here, told, [meter for meter in found if meter.id not in held])


def _running(meter: Meter, held: Held, here: Calendar, cuts: slots.Cuts) -> Running:
    edges = list(cuts.edges)
    now, before, week, week_before, *listed = (held.figure(span, edges) for span in cuts.spans)
    return Running(
        meter,
        Change(now, before),
        Change(week, week_before),
        list(zip(cuts.spans[4:], listed, strict=True)),
        held.subjects,
        _forecast(meter, held, here, now or Decimal(0)),
    )


def _forecast(meter: Meter, held: Held, here: Calendar, used: Decimal) -> Forecast | None:
    """Look ahead by the complete days since the first use; its own day was no whole one."""
    first: datetime | None = here.since if meter.origin == Origin.GATE else held.first
    if meter.aggregation not in _ADDITIVE or first is None:
        return None
    edges = here.edges
    begun: date = here.day_of(first)
    observed = [
        (day, held.figure(span, edges) or Decimal(0))
        for day, span in here.day_spans[-1 - HISTORY : -1]
        if day > begun or first < here.starts[0]
    ]
    return forecast(used, observed, here.remaining)
