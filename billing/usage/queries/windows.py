"""Civil windows of a question, as SQL: where each begins and ends, and which one holds a row.

Days and months are cut once into a list of edges, in which each row finds its place by binary
search; asking PostgreSQL's time zones for each row would cost ten times the rest of the query.
Minutes and hours are a truncation of the instant. Both agree with ``billing_usage_window``.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from billing.usage.queries.question import Question, WindowSize

_CIVIL: Final = frozenset({WindowSize.DAY, WindowSize.MONTH})
LONGEST: Final = timedelta(days=1100)
"""A start further back is not believed: the edges begin with the first event instead."""
_AHEAD: Final = timedelta(days=1)
"""Nothing that counts lies further ahead of the clock."""

# Where a local midnight does not exist PostgreSQL gives the first instant after it, where it comes
# twice the second one; the window begins with the first.
_MIDNIGHT: Final = "local AT TIME ZONE %(zone)s"
_BEGINNING: Final = (
    f"CASE WHEN ({_MIDNIGHT} - interval '1 hour') AT TIME ZONE %(zone)s"
    f" = ({_MIDNIGHT}) AT TIME ZONE %(zone)s"
    f" THEN {_MIDNIGHT} - interval '1 hour' ELSE {_MIDNIGHT} END"
)
_EDGES: Final = (
    "SELECT array_agg(DISTINCT {beginning} ORDER BY {beginning}) AS at"
    " FROM generate_series(date_trunc(%(unit)s, {low} AT TIME ZONE %(zone)s),"
    " date_trunc(%(unit)s, {high} AT TIME ZONE %(zone)s) + %(step)s::interval,"
    " %(step)s::interval) AS local"
)
_TICKS: Final = (
    "SELECT array_agg(DISTINCT at ORDER BY at) AS at FROM ("
    "SELECT date_trunc(%(unit)s, tick, %(zone)s) AS at FROM generate_series("
    "%(low)s::timestamptz, %(high)s::timestamptz, %(step)s::interval) AS tick) AS ticks"
)
_ORIGIN: Final = "'2000-01-01 00:00:00+00'::timestamptz"


def edges(question: Question, parameters: dict[str, Any], first: str) -> str | None:
    """Write a query of one array ``at``: the edges of all windows of the question, in order.

    ``first`` is SQL for the instant of the first row, used where the question has no start. None
    where windows are no civil ones.
    """
    if question.window not in _CIVIL:
        return None
    now = datetime.now(UTC)
    parameters |= {
        "unit": question.window.lower(),
        "step": f"1 {question.window.lower()}",
        "zone": question.zone,
        "high": min(question.end or now + _AHEAD, now + _AHEAD),
    }
    if question.start is not None and now - question.start < LONGEST:
        parameters["low"] = question.start
        first = "%(low)s::timestamptz"
    return _EDGES.format(beginning=_BEGINNING, low=first, high="%(high)s::timestamptz")


def ticks(question: Question, parameters: dict[str, Any]) -> str:
    """Write the edges of all minutes or hours from the question's start to its end or to now.

    They follow each other without a gap, also where a zone's clock is set by half an hour.
    """
    now = datetime.now(UTC)
    parameters |= {
        "unit": str(question.window).lower(),
        "step": "1 minute" if question.window == WindowSize.MINUTE else "30 minutes",
        "zone": question.zone,
        "low": question.start,
        "high": min(question.end or now, now) + timedelta(hours=1),
    }
    return _TICKS


def place(question: Question, parameters: dict[str, Any]) -> str:
    """Write what tells the windows of rows ``part`` apart: a number of edges, or a beginning."""
    if question.window in _CIVIL:
        return "width_bucket(part.at, (SELECT at FROM edge))"
    unit = str(question.window).lower()
    if question.zone == "UTC":
        return f"date_bin('1 {unit}', part.at, {_ORIGIN})"
    parameters |= {"unit": unit, "zone": question.zone}
    return "date_trunc(%(unit)s, part.at, %(zone)s)"


def bounds(question: Question) -> tuple[str, str]:
    """Write beginning and end of the window that ``found.place`` tells, as SQL."""
    if question.window in _CIVIL:
        return "edge.at[found.place]", "edge.at[found.place + 1]"
    return "found.place", f"found.place + interval '1 {str(question.window).lower()}'"
