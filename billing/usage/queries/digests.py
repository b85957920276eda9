"""Where a question over days is answered from digests: SQL for its parts, as in ``sources``.

A digest tells a day that is over in one row for each subject and groups. Days that changed since,
and what is no whole day, come from roll-ups and events as ever, in the same statement: one snapshot
tells which days these are, and reads them. Sums and counts can be cut at any quarter hour of a day,
so any zone's days are made of them; for other figures a day that is cut is read from roll-ups.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from billing.usage.models import Aggregation, Origin
from billing.usage.queries import sources, windows
from billing.usage.queries.question import CUSTOMER, SUBJECT, Question, WindowSize
from billing.usage.queries.sources import FIGURES

NUMBER: Final = "number"
"""The figure of which there is one for each event: in millionths; ``fits`` tells if it is exact."""
_ADDITIVE: Final = frozenset({Aggregation.COUNT, Aggregation.SUM, Aggregation.AVG})
_LONG: Final = timedelta(days=2)
"""What is shorter holds hardly a whole day."""

_WHOLE: Final = (
    "WITH whole AS MATERIALIZED (SELECT billing_usage_digested_days(%(meter)s, %(only_tenant)s,"
    " %(kept_from)s::timestamptz, %(kept_to)s::timestamptz, {whole}, {numbered}, {cuts}) AS days) "
)
_OF_METER: Final = "r.tenant_id = %(only_tenant)s AND r.meter_id = %(meter)s"
_OF_RANGE: Final = (
    f"{_OF_METER} AND r.day BETWEEN"
    " coalesce((%(kept_from)s::timestamptz AT TIME ZONE 'UTC')::date, '-infinity')"
    " AND coalesce((%(kept_to)s::timestamptz AT TIME ZONE 'UTC')::date, 'infinity')"
)
_FROM_DAYS: Final = (
    f" FROM whole JOIN billing_usage_digest AS r ON r.day = ANY (whole.days) AND {_OF_RANGE}"
)
_FROM_PIECES: Final = (
    " FROM whole CROSS JOIN LATERAL billing_usage_pieces(whole.days, %(kept_from)s::timestamptz,"
    " %(kept_to)s::timestamptz, {cuts}) AS piece"
    f" JOIN billing_usage_digest AS r ON r.day = piece.day AND {_OF_RANGE}"
)
_FROM_GAPS: Final = (
    " FROM whole CROSS JOIN LATERAL billing_usage_gaps(whole.days, %(kept_from)s::timestamptz,"
    " %(kept_to)s::timestamptz) AS gap "
)
_KEPT: Final = f"JOIN {{table}} AS r ON r.bucket >= gap.low AND r.bucket < gap.high AND {_OF_METER}"
_READ: Final = "billing_usage_read(%(meter)s, %(only_tenant)s, {low}, {high}) AS r"

_IS_WHOLE: Final = "(piece.low = 0 AND piece.high = 96)"
_PAST_LOW: Final = "width_bucket((piece.low - 1)::smallint, r.places)"
_PAST_HIGH: Final = "width_bucket((piece.high - 1)::smallint, r.places)"
_PIECE: Final = (
    f"CASE WHEN {_IS_WHOLE} THEN r.{{name}}"
    f" ELSE r.{{name}}s[{_PAST_HIGH}] - coalesce(r.{{name}}s[{_PAST_LOW}], 0) END AS {{name}}"
)
PIECES: Final = ", ".join(_PIECE.format(name=name) for name in ("count", "total"))
"""Count and total of a ``piece`` of the digest ``r``, as SQL."""
SOME_IN_PIECE: Final = f"({_IS_WHOLE} OR {_PAST_HIGH} > {_PAST_LOW})"
"""Whether the piece has any event."""

_HEADS: Final = {name: f"r.{name}" for name in ("tenant_id", "subject", "groups")}
_OF_DAYS: Final = {
    **_HEADS,
    **{name: f"r.{name}" for name in FIGURES},
    "at": "r.day::timestamp AT TIME ZONE 'UTC' AS at",
    "value": "unnest(r.hashes) AS value",
    NUMBER: "unnest(r.numbers) AS number, true AS fits",
}
_OF_PIECES: Final = {
    **_OF_DAYS,
    "at": "piece.at",
    **{name: _PIECE.format(name=name) for name in ("count", "total")},
}
_OF_KEPT: Final = {
    **_HEADS,
    **{name: f"r.{name}" for name in FIGURES},
    "at": "r.bucket AS at",
    "value": "NULL::uuid AS value",
}
_OF_VALUES: Final = {
    **_HEADS,
    **{name: f"NULL AS {name}" for name in FIGURES},
    "at": "r.bucket AS at",
    "value": "r.value_hash AS value",
}
_OF_EVENTS: Final = {
    **_HEADS,
    **sources.RAW,
    "value": "md5(r.value)::uuid AS value",
    NUMBER: "CASE WHEN abs(r.number) < 9e12 THEN (r.number * 1000000)::bigint END AS number,"
    " r.number = trunc(r.number, 6) AND abs(r.number) < 9e12 AS fits",
}


def tell(question: Question) -> bool:
    """Tell whether digests may answer a question, as far as there are any."""
    meter, start, now = question.meter, question.start, datetime.now(UTC)
    if not meter.ready or meter.origin != Origin.EVENTS or len(sources.tenants(question)) != 1:
        return False
    if meter.aggregation == Aggregation.WEIGHTED_SUM:
        return False
    if start is None:
        return question.window is None
    if question.window is not None and (
        question.window not in {WindowSize.DAY, WindowSize.MONTH} or now - start >= windows.LONGEST
    ):
        return False
    return (question.end or now) - start >= _LONG


def parts(question: Question, figures: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Write the sources of a question's figures, and its parameters.

    Windows are cut at the query ``edge`` of :func:`billing.usage.queries.windows.edges`, which
    must come before.
    """
    single = NUMBER in figures
    span = (question.start, question.end)
    kept, edges = (span, []) if single else sources.split(question)
    parameters: dict[str, Any] = {"meter": question.meter.id}
    narrowed = sources.narrowed(question, parameters)
    parameters["kept_from"], parameters["kept_to"] = kept or (None, None)
    columns = [*_heads(question), *figures]
    written = [_days(question, columns), *_gaps(columns)]
    for place, (start, end) in enumerate(edges):
        parameters[f"edge{place}_from"], parameters[f"edge{place}_to"] = start, end
        low, high = (f"%(edge{place}_{name})s::timestamptz" for name in ("from", "to"))
        read = _READ.format(low=low, high=high)
        written.append(f"{_selected(_OF_EVENTS, columns)} FROM {read} WHERE true")
    cutting = _is_cut(question)
    cuts = "'{}'" if question.window is None or cutting else "(SELECT at FROM edge)"
    whole = _WHOLE.format(
        whole=str(not cutting).lower(), numbered=str(single).lower(), cuts=f"{cuts}::timestamptz[]"
    )
    return whole + " UNION ALL ".join(source + narrowed for source in written), parameters


def _is_cut(question: Question) -> bool:
    """Tell whether days may be read in part: where each part's first and last event matter not."""
    bounded = question.start is not None and question.end is not None
    return question.meter.aggregation in _ADDITIVE and (question.window is not None or bounded)


def _heads(question: Question) -> list[str]:
    """Name what tells the parts apart, as far as the question does: values come by the thousand."""
    by = {SUBJECT: "subject", CUSTOMER: "tenant_id"}
    heads = {by.get(name, "groups") for name in question.group_by}
    return [*sorted(heads), *([] if question.window is None else ["at"])]


def _days(question: Question, columns: Sequence[str]) -> str:
    if _is_cut(question):
        cuts = "'{}'" if question.window is None else "(SELECT at FROM edge)"
        source = _FROM_PIECES.format(cuts=f"{cuts}::timestamptz[]")
        return _selected(_OF_PIECES, columns) + f"{source} WHERE {SOME_IN_PIECE}"
    return _selected(_OF_DAYS, columns) + _FROM_DAYS + " WHERE true"


def _gaps(columns: Sequence[str]) -> list[str]:
    """Write what is read of the days without a digest that holds."""
    if NUMBER in columns:
        read = _READ.format(low="gap.low", high="gap.high")
        return [f"{_selected(_OF_EVENTS, columns)}{_FROM_GAPS}CROSS JOIN LATERAL {read} WHERE true"]
    kept = _FROM_GAPS + _KEPT.format(table="billing_usage_rollup")
    written = [f"{_selected(_OF_KEPT, columns)}{kept} WHERE true"]
    if "value" in columns:
        kept = _FROM_GAPS + _KEPT.format(table="billing_usage_value")
        values = f"{_selected(_OF_VALUES, columns)}{kept} WHERE true"
        # Roll-ups tell when the first and the last event were, which sets do not.
        written = [*written, values] if {"first_at", "latest_at"} & {*columns} else [values]
    return written


def _selected(columns: dict[str, str], names: Sequence[str]) -> str:
    return "SELECT " + ", ".join(columns[name] for name in names)
