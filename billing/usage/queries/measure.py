"""What a meter shows: windows, groups and filters over roll-ups, exact to the microsecond.

Whole 15-minute buckets come from roll-ups, the edges of ``[from, to)`` and windows of a minute from
raw events. A meter that is still being counted back is read from raw events alone: exact, slower.
Requests (the gate's own meter) come from the gate's record, in whole buckets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from billing.usage.filters import Condition
from billing.usage.models import Aggregation, Meter, Origin
from billing.usage.queries import sources
from kernel import db

CUSTOMER: Final = "customer_id"
SUBJECT: Final = "subject"


class WindowSize(StrEnum):
    """The civil windows of a query."""

    MINUTE = "MINUTE"
    HOUR = "HOUR"
    DAY = "DAY"
    MONTH = "MONTH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A checked query. ``[start, end)`` may be open; ``group_by`` may name subject, customer_id.

    ``tenants`` empty: the tenant of the context, or all of them under the operator.
    """

    meter: Meter
    start: datetime | None = None
    end: datetime | None = None
    window: WindowSize | None = None
    zone: str = "UTC"
    subjects: Sequence[str] = ()
    tenants: Sequence[UUID] = ()
    group_by: Sequence[str] = ()
    filters: Mapping[str, Condition] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One window and group. ``value`` is exact; ``groups`` holds what was asked for."""

    start: datetime
    end: datetime
    value: Decimal
    subject: str | None
    tenant_id: UUID | None
    groups: dict[str, str]


_VALUES: Final = {
    Aggregation.SUM: "sum(part.total)",
    Aggregation.COUNT: "sum(part.count)",
    # Twenty places at least: a quotient alone would be cut to the digits of a double.
    Aggregation.AVG: (
        "trim_scale(sum(part.total) * 1.00000000000000000000 / nullif(sum(part.count), 0))"
    ),
    Aggregation.MIN: "min(part.lowest)",
    Aggregation.MAX: "max(part.highest)",
    Aggregation.LATEST: (
        "(array_agg(part.latest ORDER BY part.latest_at DESC, part.latest_seq DESC))[1]"
    ),
    Aggregation.UNIQUE_COUNT: "count(DISTINCT part.value)",
}
_ZERO_WHEN_EMPTY: Final = {Aggregation.COUNT, Aggregation.UNIQUE_COUNT}


def measure(question: Question) -> list[Row]:
    """Answer a question, ordered by window start, then by group; empty windows have no row."""
    names = list(question.group_by)
    columns = [_column(question.meter, name) for name in names]
    parts, parameters = sources.parts(question)
    selected = [*_window(question, parameters), f"({_VALUES[_aggregation(question)]})::numeric"]
    keys = [] if question.window is None else ["1", "2"]
    keys += [str(len(selected) + place) for place in range(1, len(columns) + 1)]
    statement = ["SELECT ", ", ".join([*selected, *columns]), " FROM (", parts, ") AS part"]
    if keys:
        statement += [" GROUP BY ", ", ".join(keys), " ORDER BY 1, ", ", ".join(keys)]
    with db.cursor() as cursor:
        cursor.execute("".join(statement), parameters)
        found = [row for row in cursor.fetchall() if row[0] is not None and row[2] is not None]
    if not found and not keys and question.meter.aggregation in _ZERO_WHEN_EMPTY:
        return [_nothing(question)]
    return [_row(question, names, row) for row in found]


def _aggregation(question: Question) -> Aggregation:
    return Aggregation(question.meter.aggregation)


def _column(meter: Meter, name: str) -> str:
    if name == SUBJECT:
        return "part.subject"
    if name == CUSTOMER:
        return "part.tenant_id"
    return f"part.groups[{meter.group_keys.index(name) + 1}]"


def _window(question: Question, parameters: dict[str, Any]) -> list[str]:
    """Write the window columns: civil windows, or the asked range, or the events' own minutes."""
    if question.window is not None:
        parameters |= {"unit": question.window.lower(), "zone": question.zone}
        start = "billing_usage_window(%(unit)s, part.at, %(zone)s)"
        return [start, f"billing_usage_window_end(%(unit)s, {start}, %(zone)s)"]
    parameters |= {"asked_start": question.start, "asked_end": question.end}
    first = "date_trunc('minute', min(part.first_at))"
    last = "date_trunc('minute', max(part.latest_at)) + interval '1 minute'"
    return [
        f"CASE WHEN count(*) > 0 THEN coalesce(%(asked_start)s::timestamptz, {first}) END",
        f"coalesce(%(asked_end)s::timestamptz, {last})",
    ]


def _row(question: Question, names: list[str], row: Sequence[Any]) -> Row:
    named = dict(zip(names, row[3:], strict=True))
    subject = named.pop(SUBJECT, None)
    tenant_id = named.pop(CUSTOMER, None)
    return Row(row[0], row[1], row[2], subject, tenant_id, named)


def _nothing(question: Question) -> Row:
    """Zero is a figure: a count of nothing over the asked range."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    end = question.end or max(now, question.start or now) + timedelta(minutes=1)
    return Row(question.start or min(now, end), end, Decimal(0), None, None, {})


def is_of_gate(meter: Meter) -> bool:
    """Tell whether the gate, not the ledger, holds the meter's figures."""
    return meter.origin == Origin.GATE
