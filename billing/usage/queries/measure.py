"""What a meter shows: windows, groups and filters over roll-ups, exact to the microsecond.

Whole 15-minute buckets come from roll-ups, the edges of ``[from, to)`` and windows of a minute from
raw events. A meter that is still being counted back is read from raw events alone, and so are
percentiles and levels: exact, slower. Requests (the gate's own meter) come from the gate's record,
in whole buckets.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from billing.usage.models import Aggregation, Meter
from billing.usage.models.meters import OF_SINGLE_EVENTS, PERCENTILES
from billing.usage.queries import digests, levels, prepared, sources, windows
from billing.usage.queries.archives import newest_archived
from billing.usage.queries.question import CUSTOMER, SUBJECT, Question, Row
from kernel import db
from kernel.errors import Gone
from kernel.tenancy import tenant_or_none

_MIDDLE: Final = "percentile_disc(0.5) WITHIN GROUP (ORDER BY part.total{order})"
_DISTINCT: Final = "count(DISTINCT part.value)"
# For each aggregation what it reads of a part, and how parts become one figure.
_VALUES: Final[dict[Aggregation, tuple[tuple[str, ...], str]]] = {
    Aggregation.SUM: (("total",), "sum(part.total)"),
    Aggregation.COUNT: (("count",), "sum(part.count)"),
    # Twenty places at least: a quotient alone would be cut to the digits of a double.
    Aggregation.AVG: (
        ("total", "count"),
        "trim_scale(sum(part.total) * 1.00000000000000000000 / nullif(sum(part.count), 0))",
    ),
    Aggregation.MIN: (("lowest",), "min(part.lowest)"),
    Aggregation.MAX: (("highest",), "max(part.highest)"),
    Aggregation.LATEST: (
        ("latest", "latest_at", "latest_seq"),
        "(array_agg(part.latest ORDER BY part.latest_at DESC, part.latest_seq DESC))[1]",
    ),
    Aggregation.UNIQUE_COUNT: (("value",), _DISTINCT),
    # The lower and the upper middle value, which are one where the number of values is odd. Times
    # 0.5, because a division would round.
    Aggregation.MEDIAN: (
        ("total",),
        f"trim_scale(({_MIDDLE.format(order='')} + {_MIDDLE.format(order=' DESC')}) * 0.5)",
    ),
    **{
        name: (
            ("total",),
            f"trim_scale(percentile_disc({share}) WITHIN GROUP (ORDER BY part.total))",
        )
        for name, share in PERCENTILES.items()
    },
}
# The same of values in millionths; NaN, which no value is, where one of them does not fit.
_FITTING: Final = "CASE WHEN bool_and(part.fits) THEN trim_scale({value}) ELSE 'NaN' END"
_NTH: Final = "percentile_disc({share}) WITHIN GROUP (ORDER BY part.number{order})"
_IN_MILLIONTHS: Final = {
    Aggregation.MEDIAN: _FITTING.format(
        value=f"({_NTH.format(share='0.5', order='')}::numeric"
        f" + {_NTH.format(share='0.5', order=' DESC')}) * 0.0000005"
    ),
    **{
        name: _FITTING.format(value=_NTH.format(share=share, order="") + " * 0.000001")
        for name, share in PERCENTILES.items()
    },
}
_ZERO_WHEN_EMPTY: Final = {Aggregation.COUNT, Aggregation.UNIQUE_COUNT}


@dataclass(frozen=True, slots=True)
class _Source:
    """What writes a question's parts, which figures of them it needs, how these become one.

    ``edges_first``: the parts are cut at the windows' edges, which must be known before.
    """

    parts: Callable[[Question, Sequence[str]], tuple[str, dict[str, Any]]]
    figures: Sequence[str]
    value: str
    edges_first: bool


def measure(question: Question) -> list[Row]:
    """Answer a question, ordered by window start, then by group; empty windows have no row.

    Raises:
        kernel.errors.Gone: the meter needs the events themselves, and some were archived.
    """
    found = _asked(question, by_digests=True)
    if any(row.value.is_nan() for row in found):
        found = _asked(question, by_digests=False)
    nothing = not found and not question.group_by and question.window is None
    if nothing and question.meter.aggregation in _ZERO_WHEN_EMPTY:
        return [_nothing(question)]
    return found


def _asked(question: Question, *, by_digests: bool) -> list[Row]:
    statement, parameters = written(question, numbers_by_digests=by_digests)
    if by_digests and not question.filters and digests.tell(question):
        return rows_of(question, prepared.rows(statement, parameters))
    with db.cursor() as cursor:
        cursor.execute(statement, parameters)
        return rows_of(question, cursor.fetchall())


def written(question: Question, *, numbers_by_digests: bool = False) -> tuple[str, dict[str, Any]]:
    """Write the statement of a question, and its parameters.

    Args:
        question: what is asked.
        numbers_by_digests: read percentiles from digests where there are some. Where a value does
            not fit into these the figure is NaN, and the question is asked once more without.

    Raises:
        kernel.errors.Gone: the meter needs the events themselves, and some were archived.
    """
    if question.meter.aggregation in OF_SINGLE_EVENTS:
        _need_events(question)
    if question.meter.aggregation == Aggregation.WEIGHTED_SUM:
        return levels.statement(question, _columns(question))
    source = _source(question, numbers_by_digests=numbers_by_digests)
    return _whole(question, source) if question.window is None else _windowed(question, source)


def _source(question: Question, *, numbers_by_digests: bool) -> _Source:
    aggregation = Aggregation(question.meter.aggregation)
    single = aggregation in OF_SINGLE_EVENTS
    if not digests.tell(question) or (single and not numbers_by_digests):
        return _Source(sources.parts, *_VALUES[aggregation], edges_first=False)
    if single:
        figures, value = (digests.NUMBER,), _IN_MILLIONTHS[aggregation]
        return _Source(digests.parts, figures, value, edges_first=True)
    return _Source(digests.parts, *_VALUES[aggregation], edges_first=True)


def rows_of(question: Question, found: Iterable[Sequence[Any]]) -> list[Row]:
    """Read rows of the statement of a question; those without a figure are none."""
    names = list(question.group_by)
    return [_row(names, row) for row in found if row[0] is not None and row[2] is not None]


def _need_events(question: Question) -> None:
    tenant = tenant_or_none()
    tenants = list(question.tenants) or ([] if tenant is None else [tenant])
    newest = newest_archived(question.meter.id, tenants, question.start, question.end)
    if newest is not None:
        aggregation = question.meter.aggregation
        raise Gone(
            f"{aggregation} needs the events themselves, and those of {newest:%Y-%m} are archived:"
            " ask from a later month.",
            code="usage_archived",
        )


def _whole(question: Question, source: _Source) -> tuple[str, dict[str, Any]]:
    """Write the figure of the asked range; its open ends are those of the events' minutes."""
    columns = _columns(question)
    first = "date_trunc('minute', min(part.first_at))"
    last = "date_trunc('minute', max(part.latest_at)) + interval '1 minute'"
    reads = list(source.figures)
    if question.start is None or question.end is None:
        reads += [name for name in ("first_at", "latest_at") if name not in reads]
    parts, parameters = source.parts(question, reads)
    parameters |= {"asked_start": question.start, "asked_end": question.end}
    start = first if question.start is None else "%(asked_start)s::timestamptz"
    end = last if question.end is None else "%(asked_end)s::timestamptz"
    selected = [
        f"CASE WHEN count(*) > 0 THEN {start} END",
        end,
        f"({source.value})::numeric",
        *columns,
    ]
    written = ["SELECT ", ", ".join(selected), " FROM (", parts, ") AS part"]
    if columns:
        keys = ", ".join(str(3 + place) for place in range(1, len(columns) + 1))
        written += [" GROUP BY ", keys, " ORDER BY 1, ", keys]
    return "".join(written), parameters


def _windowed(question: Question, source: _Source) -> tuple[str, dict[str, Any]]:
    """Write a row for each window and group that has events."""
    columns = _columns(question)
    parts, parameters = source.parts(question, source.figures)
    edges = windows.edges(question, parameters, "(SELECT min(at) FROM part)")
    place = windows.place(question, parameters)
    selected = [f"{place} AS place", f"({source.value})::numeric AS value"]
    selected += [f"{column} AS key{number}" for number, column in enumerate(columns)]
    keys = ["place", *(f"key{number}" for number in range(len(columns)))]
    bounds = [f"({bound})::text" for bound in windows.bounds(question)]
    shown = [*bounds, "found.value", *(f"found.{key}" for key in keys[1:])]
    named = [f"part AS ({parts})", *([f"edge AS ({edges})"] if edges else [])]
    written = ["WITH ", ", ".join(reversed(named) if source.edges_first else named)]
    written += [" SELECT ", ", ".join(shown), " FROM ("]
    written += ["SELECT ", ", ".join(selected), " FROM part GROUP BY ", ", ".join(keys)]
    written += [") AS found", ", edge" if edges else "", " ORDER BY "]
    written.append(", ".join(f"found.{key}" for key in keys))
    return "".join(written), parameters


def _columns(question: Question) -> list[str]:
    return [_column(question.meter, name) for name in question.group_by]


def _column(meter: Meter, name: str) -> str:
    if name == SUBJECT:
        return "part.subject"
    if name == CUSTOMER:
        return "part.tenant_id"
    return f"part.groups[{meter.group_keys.index(name) + 1}]"


def _row(names: list[str], row: Sequence[Any]) -> Row:
    named = dict(zip(names, row[3:], strict=True))
    subject = named.pop(SUBJECT, None)
    tenant_id = named.pop(CUSTOMER, None)
    return Row(_instant(row[0]), _instant(row[1]), row[2], subject, tenant_id, named)


def _instant(read: datetime | str) -> datetime:
    """Take the bound of a window; as text, since the groups of a window all have the same."""
    return read if isinstance(read, datetime) else _read_instant(read)


@lru_cache(maxsize=4096)
def _read_instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _nothing(question: Question) -> Row:
    """Zero is a figure: a count of nothing over the asked range."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    end = question.end or max(now, question.start or now) + timedelta(minutes=1)
    return Row(question.start or min(now, end), end, Decimal(0), None, None, {})
