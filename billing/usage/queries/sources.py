"""Where a question's figures come from: SQL for the parts that are then aggregated.

Every part has ``tenant_id, subject, groups, at`` (which decides the window) and those of
:data:`FIGURES` that the caller names. Parts are as narrow as they can be: they may be read twice.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from billing.usage.models import OPERATOR, Aggregation, Origin
from billing.usage.models.meters import OF_SINGLE_EVENTS
from billing.usage.queries.question import Question
from kernel.tenancy import tenant_or_none

BUCKET: Final = timedelta(minutes=15)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

FIGURES: Final = (
    "count", "total", "lowest", "highest", "latest", "latest_at", "latest_seq", "first_at", "value",
)  # fmt: skip
_HEAD: Final = "SELECT r.tenant_id, r.subject, r.groups, "
_KEPT: Final = {
    **{name: f"r.{name}" for name in FIGURES},
    "at": "r.bucket AS at",
    "value": "NULL::text AS value",
}
_DISTINCT: Final = {
    **{name: f"NULL AS {name}" for name in FIGURES},
    "at": "r.bucket AS at",
    "value": "r.value",
}
RAW: Final = {
    "at": "r.time AS at",
    "count": "1 AS count",
    **{name: f"r.number AS {name}" for name in ("total", "lowest", "highest", "latest")},
    "latest_at": "r.time AS latest_at",
    "latest_seq": "r.seq AS latest_seq",
    "first_at": "r.time AS first_at",
    "value": "r.value",
}
_GATE: Final = {
    "at": "r.at",
    "count": "r.used AS count",
    "total": "r.used::numeric AS total",
    **{name: f"NULL::numeric AS {name}" for name in ("lowest", "highest", "latest")},
    "latest_at": "r.at + interval '14 minutes' AS latest_at",
    "latest_seq": "0::bigint AS latest_seq",
    "first_at": "r.at AS first_at",
    "value": "NULL::text AS value",
}
_FROM_KEPT: Final = " FROM billing_usage_rollup AS r WHERE r.meter_id = %(meter)s"
_FROM_DISTINCT: Final = " FROM billing_usage_value AS r WHERE r.meter_id = %(meter)s"
_FROM_RAW: Final = (
    " FROM billing_usage_measured AS r"
    " WHERE r.meter_id = %(meter)s AND (r.number IS NOT NULL OR r.value IS NOT NULL)"
)
# Many events: what billing_usage_measured_widely says of one meter, its facts given. Joined to the
# meter's row, PostgreSQL would look that up again for each event.
_WIDE_NUMBER: Final = "billing_usage_number({held} #> %(value_path)s::text[])"
_WIDE_VALUE: Final = "{held} #>> %(value_path)s::text[]"
_HELD: Final = "coalesce(amended.data, event.data)"
_FROM_WIDE: Final = (
    " FROM (SELECT event.tenant_id, event.subject, event.time, event.seq,"
    " billing_usage_groups({held}, %(group_paths)s::text[]) AS groups,"
    " {number} AS number, {value} AS value FROM billing_usage_event AS event LEFT JOIN ("
    "SELECT DISTINCT ON (tenant_id, event_seq) tenant_id, event_seq, kind, data"
    " FROM billing_usage_amendment ORDER BY tenant_id, event_seq, id DESC"
    ") AS amended ON amended.tenant_id = event.tenant_id AND amended.event_seq = event.seq"
    " WHERE event.type = %(event_type)s AND amended.kind IS DISTINCT FROM 'void'"
    " AND event.time <= event.ingested_at + interval '5 minutes' AND event.tenant_id IS NOT NULL"
)
_WIDE_END: Final = " OFFSET 0) AS r WHERE (r.number IS NOT NULL OR r.value IS NOT NULL)"
_SHORT: Final = timedelta(hours=1)
_FROM_GATE: Final = (
    " FROM (SELECT %(tenant)s::uuid AS tenant_id, g.subject::text AS subject,"
    " '{}'::text[] AS groups, to_timestamp(g.bucket_id * 900) AS at, g.used"
    " FROM gate.requests(%(first_bucket)s, %(end_bucket)s) AS g WHERE "
)

Span = tuple[datetime | None, datetime | None]


def parts(question: Question, figures: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Write the union of the sources of a question's figures, and its parameters."""
    if question.meter.aggregation in OF_SINGLE_EVENTS:
        return _written(question, figures, None, [(question.start, question.end)])
    return kept(question, figures)


def kept(question: Question, figures: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Write the sources with roll-ups wherever those hold whole buckets of the question.

    Whatever the aggregation, they know the subjects, the groups and the latest number.
    """
    if question.meter.origin == Origin.GATE:
        parameters: dict[str, Any] = {}
        return _gate(question, figures, parameters), parameters
    return _written(question, figures, *split(question))


def _written(
    question: Question, figures: Sequence[str], buckets: Span | None, edges: list[Span]
) -> tuple[str, dict[str, Any]]:
    parameters: dict[str, Any] = {"meter": question.meter.id}
    shared = narrowed(question, parameters)
    written = []
    if buckets is not None:
        span = _span("r.bucket", "kept", buckets, parameters)
        unique = question.meter.aggregation == Aggregation.UNIQUE_COUNT
        if not unique or set(figures) != {"value"}:
            written.append(_selected(_KEPT, figures) + _FROM_KEPT + span + shared)
        if unique and "value" in figures:
            written.append(_selected(_DISTINCT, figures) + _FROM_DISTINCT + span + shared)
    for place, piece in enumerate(edges):
        span = _span("r.time", f"raw{place}", piece, parameters)
        if _is_short(piece):
            written.append(_selected(RAW, figures) + _FROM_RAW + span + shared)
        else:
            span = span.replace("r.time", "event.time")
            wide = _wide(question, parameters) + span + _WIDE_END + shared
            written.append(_selected(RAW, figures) + wide)
    return " UNION ALL ".join(written), parameters


def tenants(question: Question) -> list[UUID]:
    """Give the tenants whose figures are asked for; none means all."""
    tenant = tenant_or_none()
    return list(question.tenants) or ([] if tenant is None else [tenant])


def _wide(question: Question, parameters: dict[str, Any]) -> str:
    """Write the source of many events, up to their range: those that count for the meter."""
    meter = question.meter
    number, value = _WIDE_NUMBER.format(held=_HELD), "NULL::text"
    if meter.aggregation == Aggregation.COUNT:
        number = "1::numeric"
    elif meter.aggregation == Aggregation.UNIQUE_COUNT:
        number, value = "NULL::numeric", _WIDE_VALUE.format(held=_HELD)
    parameters |= {"event_type": meter.event_type, "value_path": meter.value_path}
    parameters |= {"group_paths": meter.group_paths}
    written = _FROM_WIDE.format(number=number, value=value, held=_HELD)
    if meter.event_from is not None:
        parameters["event_from"] = meter.event_from
        written += " AND event.time >= %(event_from)s"
    if meter.scope != OPERATOR:
        parameters["scope"] = meter.scope
        written += " AND event.tenant_id = %(scope)s"
    if "only_tenant" in parameters:
        written += " AND event.tenant_id = %(only_tenant)s"
    elif "tenants" in parameters:
        written += " AND event.tenant_id = ANY (%(tenants)s)"
    return written


def _is_short(span: Span) -> bool:
    start, end = span
    return start is not None and end is not None and end - start <= _SHORT


def _selected(columns: dict[str, str], figures: Sequence[str]) -> str:
    return _HEAD + ", ".join(columns[name] for name in ("at", *figures))


def split(question: Question) -> tuple[Span | None, list[Span]]:
    """Cut [start, end) into whole buckets, answered by roll-ups, and edges, answered by events."""
    start, end = question.start, question.end
    if not question.meter.ready or question.window == "MINUTE":
        return None, [(start, end)]
    first = None if start is None else -(-(start - _EPOCH) // BUCKET) * BUCKET + _EPOCH
    last = None if end is None else (end - _EPOCH) // BUCKET * BUCKET + _EPOCH
    if first is not None and last is not None and first >= last:
        return None, [(start, end)]
    edges: list[Span] = []
    if start != first:
        edges.append((start, first))
    if end != last:
        edges.append((last, end))
    return (first, last), edges


def _span(column: str, name: str, span: Span, parameters: dict[str, Any]) -> str:
    written = ""
    for suffix, operator, bound in (("from", ">=", span[0]), ("to", "<", span[1])):
        if bound is not None:
            parameters[f"{name}_{suffix}"] = bound
            written += f" AND {column} {operator} %({name}_{suffix})s"
    return written


def narrowed(question: Question, parameters: dict[str, Any]) -> str:
    """Write the conditions that all sources share: tenants, subjects, group values."""
    written = ""
    asked = tenants(question)
    parameters["tenant"] = tenant_or_none() or (asked[0] if asked else None)
    if len(asked) == 1:  # an equality is estimated better than a list of one
        written += " AND r.tenant_id = %(only_tenant)s"
        parameters["only_tenant"] = asked[0]
    elif asked:
        written += " AND r.tenant_id = ANY (%(tenants)s)"
        parameters["tenants"] = asked
    if question.subjects:
        parameters["subjects"] = list(question.subjects)
        written += " AND r.subject = ANY (%(subjects)s)"
    for place, key in enumerate(question.meter.group_keys, start=1):
        condition = question.filters.get(key)
        if condition is not None:
            written += f" AND {condition.sql(f'r.groups[{place}]', parameters)}"
    return written


def _gate(question: Question, figures: Sequence[str], parameters: dict[str, Any]) -> str:
    """Read the gate's buckets, outward to whole ones; the total is kept beside the keys."""
    narrowed(question, parameters)
    by_key = bool(question.subjects) or "subject" in question.group_by
    end = question.end or _EPOCH + timedelta(days=365_000)
    parameters["first_bucket"] = ((question.start or _EPOCH) - _EPOCH) // BUCKET
    parameters["end_bucket"] = -(-(end - _EPOCH) // BUCKET)
    whose = "g.subject <> %(tenant)s" if by_key else "g.subject = %(tenant)s"
    written = f"{_selected(_GATE, figures)}{_FROM_GATE}{whose}) AS r WHERE true"
    if question.subjects:
        written += " AND r.subject = ANY (%(subjects)s)"
    return written
