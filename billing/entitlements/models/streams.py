"""Streams of grants: how a metered entitlement is cut into periods and segments, as pure data.

A stream is the life of one entitlement. Its usage periods follow a recurrence and are ended early
by resets; inside a period a segment starts wherever a grant starts, ends or recurs. The gate burns
what is counted in each segment off the grants (kernel/sql/burn.sql).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from billing.catalog.models import Interval
from billing.catalog.models.recurrence import Recurrence
from billing.catalog.queries import FeatureFact
from kernel.gate.burn import Base, Burn, BurnGrant, Reset, Segment
from kernel.gate.changes import Window

AHEAD: Final = {Interval.DAY: 15, Interval.WEEK: 6, Interval.MONTH: 3, Interval.YEAR: 2}
"""How many periods are opened in advance, the running one included."""
MOST_SEGMENTS: Final = 60
"""Beyond so many segments no period after the next one is opened in advance."""
FOR_EVER: Final = datetime.max.replace(tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class GrantFact:
    """One grant: what it holds, when, and what becomes of it at resets and recurrences."""

    id: UUID
    amount: Decimal
    priority: int
    start: datetime
    expires_at: datetime | None
    created_at: datetime
    voided_at: datetime | None = None
    minimum: Decimal = Decimal(0)
    maximum: Decimal = Decimal(0)
    recurrence: Recurrence | None = None

    @property
    def end(self) -> datetime:
        """Give the instant from which it cannot be used any more."""
        return min(self.expires_at or FOR_EVER, self.voided_at or FOR_EVER)

    @property
    def rank(self) -> tuple[int, datetime, datetime, UUID]:
        """Give its place in the burn order: priority, expiry, creation."""
        return self.priority, self.expires_at or FOR_EVER, self.created_at, self.id

    def marks(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, bool]]:
        """Go through its instants in [start, end): (at, whether it then stands at its amount)."""
        until = min(end, self.end)
        if start <= self.start < until:
            yield self.start, True
        if self.recurrence is not None:
            for at in self.recurrence.between(max(start, self.start), until):
                if at > self.start:
                    yield at, True
        if start < self.end < end and self.start < end:
            yield self.end, False


@dataclass(frozen=True, slots=True)
class ResetFact:
    """A reset by hand at ``at``."""

    at: datetime
    retain_anchor: bool
    preserve_overage: bool


@dataclass(frozen=True, slots=True)
class UsagePeriod:
    """The usage period [start, end); ``reset`` says what became of overage at its start."""

    start: datetime
    end: datetime
    reset: Reset


@dataclass(frozen=True, slots=True)
class Stream:
    """A metered entitlement with its grants and resets, the latter by time.

    ``begins`` is when use starts to count. What each period issues by itself has ``priority`` and
    counts as created at ``created_at``; ``issues`` is false where only grants grant.
    """

    id: UUID
    feature: FeatureFact
    recurrence: Recurrence
    created_at: datetime
    begins: datetime | None = None
    priority: int = 1
    issues: bool = True
    preserve_overage: bool = False
    grants: Sequence[GrantFact] = ()
    resets: Sequence[ResetFact] = ()

    def period(self, at: datetime) -> UsagePeriod:
        """Give the usage period that contains an instant."""
        past = [reset for reset in self.resets if reset.at <= at]
        anchors = [reset.at for reset in past if not reset.retain_anchor]
        recurrence = self.recurrence
        if anchors:
            recurrence = Recurrence(recurrence.cadence, anchors[-1], recurrence.zone)
        regular = recurrence.period(at)
        start, keeps = regular.start, self.preserve_overage
        if self.begins is not None and start < self.begins <= at:
            start = self.begins
        if past and past[-1].at >= start:
            start, keeps = past[-1].at, past[-1].preserve_overage
        end = min((reset.at for reset in self.resets if reset.at > at), default=regular.end)
        reset = Reset.KEEP if keeps else Reset.DROP
        return UsagePeriod(start, min(end, regular.end), reset)

    def periods(self, now: datetime) -> Iterator[UsagePeriod]:
        """Go through the period before, the running one, and those opened in advance."""
        running = self.period(now)
        if self.begins is None or self.begins < running.start:
            yield self.period(running.start - _TICK)
        count, segments = 0, 0
        period = running
        while count < AHEAD[self.recurrence.cadence.interval]:
            yield period
            count += 1
            segments += len(self._marks(period))
            if count > 1 and segments > MOST_SEGMENTS and period.end > now + timedelta(days=15):
                return
            period = self.period(period.end)

    def windows(
        self, now: datetime, hard_limit: Decimal | None, issued: Decimal | None
    ) -> Iterator[Window]:
        """Cut the periods from the one before the running one on into segments."""
        for period in self.periods(now):
            marks = self._marks(period)
            starts = sorted(marks)
            for start, end in zip(starts, [*starts[1:], period.end], strict=True):
                reset = period.reset if start == period.start else Reset.NONE
                recurs = tuple(sorted(marks[start]))
                segment = Segment(issued, period.start, period.end, reset, recurs)
                yield Window(
                    self.feature.key, self.feature.meter, start, end, hard_limit, segment=segment
                )

    def burn(self, base: Base) -> Burn:
        """Give the grants in burn order, from a base on."""
        ranked = [(grant.rank, self._shown(grant, base)) for grant in self.grants
                  if grant.end > base.at]  # fmt: skip
        if self.issues:
            rank = (self.priority, FOR_EVER, self.created_at, self.id)
            balance = base.balances.get(self.id, Decimal(0))
            ranked.append((rank, BurnGrant(self.id, None, base.at, base=balance)))
        grants = tuple(grant for _, grant in sorted(ranked, key=lambda one: one[0]))
        return Burn(self.feature.key, self.feature.meter, self.id, base.at, base.overage, grants)

    def fresh_base(self, now: datetime) -> Base:
        """Start where nothing before matters: the running period, or what a reset has ended."""
        running = self.period(now)
        start = running.start
        if any(reset.at == start for reset in self.resets):
            start = self.period(start - _TICK).start
            start = start if self.begins is None else max(start, self.begins)
        return Base(self.id, start, Decimal(0), {})

    def _marks(self, period: UsagePeriod) -> dict[datetime, set[UUID]]:
        """Give the starts of the period's segments, each with the grants at their amount then."""
        marks: dict[datetime, set[UUID]] = {period.start: set()}
        for grant in self.grants:
            for at, full in grant.marks(period.start, period.end):
                ids = marks.setdefault(at, set())
                if full:
                    ids.add(grant.id)
        return marks

    @staticmethod
    def _shown(grant: GrantFact, base: Base) -> BurnGrant:
        return BurnGrant(
            grant.id,
            grant.amount,
            grant.start,
            None if grant.end == FOR_EVER else grant.end,
            grant.minimum,
            grant.maximum,
            base.balances.get(grant.id, Decimal(0)),
        )
