"""WEIGHTED_SUM: levels that hold from one event to the next, weighted with the time they held.

A level belongs to one series (tenant, subject, group values). It holds until the series' next
event, and the last one until now; the one before the asked range reaches into it. The figure of a
window is the sum over its series of level times seconds held, divided by the window's seconds:
100 for the half of a month is 50. Seconds are real ones, so days have 23 to 25 hours.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from billing.usage.queries import sources, windows
from billing.usage.queries.question import Question

_REPORTED: Final = "SELECT tenant_id, subject, groups, at, total, latest_seq FROM ("
_BEFORE: Final = (
    ") AS reported UNION ALL (SELECT DISTINCT ON (tenant_id, subject, groups) tenant_id, subject,"
    " groups, %(range_start)s::timestamptz, latest, 0 FROM ("
)
_LAST_BEFORE: Final = (
    ") AS before ORDER BY tenant_id, subject, groups, latest_at DESC, latest_seq DESC)"
)
# Each level with the instant until which it held.
_HELD: Final = (
    "), part AS (SELECT held.* FROM (SELECT tenant_id, subject, groups, at, total,"
    " LEAST(%(range_end)s::timestamptz, lead(at) OVER (PARTITION BY tenant_id, subject, groups"
    " ORDER BY at, latest_seq)) AS until FROM level) AS held WHERE until > at)"
)
_WHOLE: Final = (
    ", trim_scale(sum(part.total * extract(epoch FROM part.until - part.at))"
    " * 1.00000000000000000000 / extract(epoch FROM {end} - {start}))"
)
_WINDOWED: Final = (
    "edge.at[n], edge.at[n + 1], trim_scale(sum(part.total * extract(epoch FROM"
    " LEAST(part.until, edge.at[n + 1]) - GREATEST(part.at, edge.at[n])))"
    " * 1.00000000000000000000 / extract(epoch FROM edge.at[n + 1] - edge.at[n]))"
)
_CROSSED: Final = (
    " FROM part, edge, LATERAL generate_series(width_bucket(part.at, edge.at),"
    " width_bucket(part.until - interval '1 microsecond', edge.at)) AS n GROUP BY 1, 2"
)


def statement(question: Question, columns: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Write the query of a question about levels, with the columns of any other aggregation."""
    levels, parameters = _levels(question)
    now = datetime.now(UTC)
    parameters["range_end"] = min(question.end or now, now)
    keys = [str(4 + number) for number in range(len(columns))]
    written = ["WITH level AS (", *levels, _HELD]
    if question.window is None:
        start, end = _ends(question, parameters)
        written += [" SELECT ", start, ", ", end, _WHOLE.format(start=start, end=end)]
        written += [f", {column}" for column in columns] + [" FROM part"]
        if keys:
            written += [" GROUP BY ", ", ".join(keys), " ORDER BY ", ", ".join(keys)]
        return "".join(written), parameters
    edges = windows.edges(question, parameters, "(SELECT min(at) FROM part)")
    written += [", edge AS (", edges or windows.ticks(question, parameters), ") SELECT ", _WINDOWED]
    written += [f", {column}" for column in columns]
    written += [_CROSSED, *(f", {key}" for key in keys), " ORDER BY ", ", ".join(["1", *keys])]
    return "".join(written), parameters


def _ends(question: Question, parameters: dict[str, Any]) -> tuple[str, str]:
    """Write the asked range; its open ends are the first level's minute and now."""
    parameters["asked_start"], parameters["asked_end"] = question.start, question.end
    first = "(SELECT date_trunc('minute', min(at)) FROM part)"
    last = "(date_trunc('minute', %(range_end)s::timestamptz) + interval '1 minute')"
    start = first if question.start is None else "%(asked_start)s::timestamptz"
    return start, last if question.end is None else "%(asked_end)s::timestamptz"


def _levels(question: Question) -> tuple[list[str], dict[str, Any]]:
    """Write the levels reported in the range and, as of its start, those that held before."""
    parts, parameters = sources.parts(question, ("total", "latest_seq"))
    if question.start is None:
        return [_REPORTED, parts, ") AS reported"], parameters
    earlier = replace(question, start=None, end=question.start, window=None)
    earlier_parts, before = sources.kept(earlier, ("latest", "latest_at", "latest_seq"))
    earlier_parts = re.sub(r"%\((\w+)\)s", r"%(before_\1)s", earlier_parts)
    parameters |= {f"before_{name}": value for name, value in before.items()}
    parameters["range_start"] = question.start
    return [_REPORTED, parts, _BEFORE, earlier_parts, _LAST_BEFORE], parameters
