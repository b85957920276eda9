"""Where a question's figures come from: SQL for the parts that are then aggregated.

Every part has the columns ``tenant_id, subject, groups, at, count, total, lowest, highest, latest,
latest_at, latest_seq, first_at, value``; ``at`` decides the window.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from billing.usage.models import Aggregation, Origin
from kernel.tenancy import tenant_or_none

if TYPE_CHECKING:
    from billing.usage.queries.measure import Question

BUCKET: Final = timedelta(minutes=15)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_KEPT: Final = (
    "SELECT r.tenant_id, r.subject, r.groups, r.bucket AS at, r.count, r.total, r.lowest,"
    " r.highest, r.latest, r.latest_at, r.latest_seq, r.first_at, NULL::text AS value"
    " FROM billing_usage_rollup AS r WHERE r.meter_id = %(meter)s"
)
_DISTINCT: Final = (
    "SELECT r.tenant_id, r.subject, r.groups, r.bucket AS at, NULL, NULL, NULL, NULL, NULL,"
    " NULL, NULL, NULL, r.value FROM billing_usage_value AS r WHERE r.meter_id = %(meter)s"
)
_RAW: Final = (
    "SELECT r.tenant_id, r.subject, r.groups, r.time AS at, 1 AS count, r.number AS total,"
    " r.number AS lowest, r.number AS highest, r.number AS latest, r.time AS latest_at,"
    " r.seq AS latest_seq, r.time AS first_at, r.value FROM billing_usage_measured AS r"
    " WHERE r.meter_id = %(meter)s AND (r.number IS NOT NULL OR r.value IS NOT NULL)"
)
_GATE: Final = (
    "SELECT r.tenant_id, r.subject, '{}'::text[] AS groups, r.at, r.used AS count,"
    " r.used::numeric AS total, NULL::numeric AS lowest, NULL::numeric AS highest,"
    " NULL::numeric AS latest, r.at + interval '14 minutes' AS latest_at,"
    " 0::bigint AS latest_seq, r.at AS first_at,"
    " NULL::text AS value FROM ("
    "SELECT %(tenant)s::uuid AS tenant_id, g.subject::text AS subject,"
    " to_timestamp(g.bucket_id * 900) AS at, g.used"
    " FROM gate.requests(%(first_bucket)s, %(end_bucket)s) AS g WHERE "
)


def parts(question: "Question") -> tuple[str, dict[str, Any]]:
    """Write the union of a question's sources and its parameters."""
    parameters: dict[str, Any] = {"meter": question.meter.id}
    narrowed = _narrowed(question, parameters)
    if question.meter.origin == Origin.GATE:
        return _gate(question, parameters), parameters
    unique = question.meter.aggregation == Aggregation.UNIQUE_COUNT
    written = []
    kept, raw = _split(question)
    if kept is not None:
        span = _span("r.bucket", "kept", kept, parameters)
        written.append(_KEPT + span + narrowed)
        if unique:
            written.append(_DISTINCT + span + narrowed)
    for place, piece in enumerate(raw):
        written.append(_RAW + _span("r.time", f"raw{place}", piece, parameters) + narrowed)
    return " UNION ALL ".join(written), parameters


Span = tuple[datetime | None, datetime | None]


def _split(question: "Question") -> tuple[Span | None, list[Span]]:
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


def _narrowed(question: "Question", parameters: dict[str, Any]) -> str:
    """Write the conditions that all sources share: tenants, subjects, group values."""
    written = ""
    tenant = tenant_or_none()
    tenants = list(question.tenants) or ([] if tenant is None else [tenant])
    parameters["tenant"] = tenant or (tenants[0] if tenants else None)
    if tenants:
        parameters["tenants"] = tenants
        written += " AND r.tenant_id = ANY (%(tenants)s)"
    if question.subjects:
        parameters["subjects"] = list(question.subjects)
        written += " AND r.subject = ANY (%(subjects)s)"
    for place, key in enumerate(question.meter.group_keys, start=1):
        condition = question.filters.get(key)
        if condition is not None:
            written += f" AND {condition.sql(f'r.groups[{place}]', parameters)}"
    return written


def _gate(question: "Question", parameters: dict[str, Any]) -> str:
    """Read the gate's buckets, outward to whole ones; the total is kept beside the keys."""
    by_key = bool(question.subjects) or "subject" in question.group_by
    end = question.end or _EPOCH + timedelta(days=365_000)
    parameters["first_bucket"] = ((question.start or _EPOCH) - _EPOCH) // BUCKET
    parameters["end_bucket"] = -(-(end - _EPOCH) // BUCKET)
    whose = "g.subject <> %(tenant)s" if by_key else "g.subject = %(tenant)s"
    written = f"{_GATE}{whose}) AS r WHERE true"
    if question.subjects:
        written += " AND r.subject = ANY (%(subjects)s)"
    return written
