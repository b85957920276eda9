"""How the grants of a metered entitlement burnt down: at an instant, and over a time.

Segments and what was counted in them come from the gate (kernel/sql/burn.sql); inside a segment
only use moves balances, so that any instant follows from what the meter says was used until then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from billing.catalog.queries import FeatureFact
from billing.entitlements.models.streams import Stream
from billing.entitlements.queries.used import operators_meter, used_between
from billing.usage.models import Meter
from billing.usage.queries.measure import measure
from billing.usage.queries.question import Question, Row, WindowSize
from kernel.errors import Invalid
from kernel.gate.burn import Burnt, burnt

ZERO: Final = Decimal(0)
MOST_SEGMENTS: Final = 400
Balances = Mapping[UUID, Decimal]


@dataclass(frozen=True, slots=True)
class State:
    """How an entitlement stood at an instant, in the usage period [start, end) of it."""

    period: tuple[datetime, datetime]
    used: Decimal
    balances: Balances
    overage: Decimal


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part [start, end) of the history in which no grant changed: use, and what it left."""

    start: datetime
    end: datetime
    used: Decimal
    opening: Balances
    closing: Balances
    overage: Decimal

    @property
    def spent(self) -> Balances:
        """Give what was used of each grant, where anything was."""
        spent = {id_: before - self.closing.get(id_, ZERO) for id_, before in self.opening.items()}
        return {id_: amount for id_, amount in spent.items() if amount > 0}


@dataclass(frozen=True, slots=True)
class UsageWindow:
    """A window in which something was used, with the balance at its start."""

    start: datetime
    end: datetime
    used: Decimal
    balance: Decimal


def state_at(tenant_id: UUID, feature: FeatureFact, at: datetime) -> State | None:
    """Compute how an entitlement that burns grants stood; None where it did not (yet)."""
    rows = burnt(tenant_id, feature.key, at)
    if not rows or at >= rows[-1].end:
        return None
    row = rows[-1]
    partly = used_between(tenant_id, operators_meter(feature.meter), row.start, at)
    before = sum((one.used for one in rows[:-1] if one.period[0] == row.period[0]), ZERO)
    balances, overage = spend(row.opening, row.owed + partly)
    return State(row.period, before + partly, balances, overage)


def segments(  # noqa: PLR0917 - what a history is asked by
    tenant_id: UUID,
    meter: Meter | None,
    stream: Stream,
    limit: Decimal | None,
    start: datetime,
    end: datetime,
) -> list[Burnt]:
    """Give the segments that overlap [start, end), those of a plain allowance being its periods."""
    rows = burnt(tenant_id, stream.feature.key, end)
    if not rows:
        rows = _plain(tenant_id, meter, stream, limit or ZERO, start, end)
    return [row for row in rows if row.start < end and row.end > start]


def stretches(
    tenant_id: UUID, meter: Meter | None, rows: Sequence[Burnt], start: datetime, end: datetime
) -> list[Stretch]:
    """Cut segments to [start, end)."""
    found = []
    for row in rows:
        first, last = max(row.start, start), min(row.end, end)
        opening, owed = row.opening, row.owed
        if first > row.start:
            before = used_between(tenant_id, meter, row.start, first)
            opening, owed = spend(opening, owed + before)
        whole = (first, last) == (row.start, row.end)
        used = row.used if whole else used_between(tenant_id, meter, first, last)
        closing, overage = spend(opening, owed + max(used, ZERO))
        found.append(Stretch(first, last, used, opening, closing, overage))
    return found


def windows(
    tenant_id: UUID, meter: Meter | None, parts: Sequence[Stretch], size: WindowSize, zone: str
) -> list[UsageWindow]:
    """Give the civil windows of a size in which something was used, with the balance at the start.

    A window that a change of grants cuts is one window all the same.
    """
    found: dict[datetime, UsageWindow] = {}
    if meter is None:
        return []
    for part in parts:
        balances = part.opening
        for row in _rows(meter, tenant_id, part, size, zone):
            end = min(row.end, part.end)
            known = found.get(row.start)
            if known is not None:
                found[row.start] = replace(known, used=known.used + row.value, end=end)
            else:
                left = sum(balances.values(), ZERO)
                found[row.start] = UsageWindow(max(row.start, part.start), end, row.value, left)
            balances, _ = spend(balances, max(row.value, ZERO))
    return list(found.values())


def spend(balances: Balances, amount: Decimal) -> tuple[Balances, Decimal]:
    """Take an amount from balances, the first ones first; give what is left of both."""
    left = {}
    for id_, balance in balances.items():
        taken = min(balance, amount)
        left[id_], amount = balance - taken, amount - taken
    return left, amount


def _rows(meter: Meter, tenant_id: UUID, part: Stretch, size: WindowSize, zone: str) -> list[Row]:
    return measure(
        Question(
            meter=meter,
            start=part.start,
            end=part.end,
            window=size,
            zone=zone,
            tenants=[tenant_id],
        )
    )


def _plain(  # noqa: PLR0917 - as segments
    tenant_id: UUID,
    meter: Meter | None,
    stream: Stream,
    limit: Decimal,
    start: datetime,
    end: datetime,
) -> list[Burnt]:
    """Write the periods of a plain allowance as segments that open with all of it."""
    rows: list[Burnt] = []
    period = stream.period(start)
    while period.start < end:
        if len(rows) >= MOST_SEGMENTS:
            raise Invalid("The time spans too many usage periods.", pointer="/query/from")
        used = used_between(tenant_id, meter, period.start, period.end)
        opening: Balances = {stream.id: limit}
        closing, overage = spend(opening, max(used, ZERO))
        bounds = (period.start, period.end)
        rows.append(Burnt(*bounds, bounds, used, opening, ZERO, closing, overage))
        period = stream.period(period.end)
    return rows
