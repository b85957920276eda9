"""Figures of a meter: queries as JSON and CSV, its subjects, its group values."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import CharField, ListSerializer

from billing.usage import permissions
from billing.usage.api import questions
from billing.usage.api.reach import reach
from billing.usage.api.shapes import QuestionSerializer, ResultSerializer
from billing.usage.queries import customers, meters, values
from billing.usage.queries.measure import measure
from billing.usage.queries.question import CUSTOMER, SUBJECT, Question, Row
from kernel.authz import Access, Scope
from kernel.csv_lines import harmless, written
from kernel.errors import NotFound
from kernel.http.endpoint import Endpoint
from kernel.http.render import OrjsonRenderer

LARGEST_INTEGER: Final = 2**53
"""Beyond it a JSON number may lose digits; the decimal text never does."""
_RANGE: Final = [
    OpenApiParameter("from", datetime, description="Default: 24 hours ago."),
    OpenApiParameter("to", datetime),
]
_NAMES: Final[ListSerializer[Any]] = ListSerializer(child=CharField())


class CsvRenderer(BaseRenderer):
    """Renders rows that the view has made ready as CSV."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Write rows (lists of text); anything else is a problem document and stays JSON."""
        if not isinstance(data, list):
            return OrjsonRenderer().render(data)
        return written(data)


class Query(Endpoint):
    """A meter's figures."""

    renderer_classes = (OrjsonRenderer, CsvRenderer)
    access: ClassVar = {
        "GET": Access(permissions.METERS_READ.name, Scope.ANY_TENANT),
        "POST": Access(permissions.METERS_READ.name, Scope.ANY_TENANT),
    }

    @extend_schema(
        parameters=[
            OpenApiParameter("from", datetime),
            OpenApiParameter("to", datetime),
            OpenApiParameter("windowSize", str, enum=["MINUTE", "HOUR", "DAY", "MONTH"]),
            OpenApiParameter("windowTimeZone", str, description="IANA name, default UTC."),
            OpenApiParameter("subject", str, many=True),
            OpenApiParameter("filterCustomerId", str, many=True),
            OpenApiParameter("filterGroupBy", str, description="JSON, or filterGroupBy[key]=…"),
            OpenApiParameter("advancedMeterGroupByFilters", str, description="JSON"),
            OpenApiParameter("groupBy", str, many=True),
        ],
        responses=ResultSerializer,
    )
    def get(self, request: Request, id_or_slug: str) -> Response:
        """Read a meter over [from, to), in civil windows of a zone, by group; JSON or CSV.

        Every event is in the answer from the first read after its 204. Windows without events have
        no row.
        """
        with reach():
            question = questions.of_query(meters.get(id_or_slug), request.query_params)
            return _answer(request, question)

    @extend_schema(request=QuestionSerializer, responses=ResultSerializer)
    def post(self, request: Request, id_or_slug: str) -> Response:
        """Read a meter, the question in the body."""
        with reach():
            question = questions.of_body(meters.get(id_or_slug), request.data)
            return _answer(request, question)


class Subjects(Endpoint):
    """The subjects of a meter."""

    access: ClassVar = {"GET": Access(permissions.METERS_READ.name, Scope.ANY_TENANT)}

    @extend_schema(parameters=_RANGE, responses=_NAMES)
    def get(self, request: Request, id_or_slug: str) -> Response:
        """List the subjects with counted events, in order."""
        with reach():
            meter = meters.get(id_or_slug)
            question = questions.of_range(meter, request.query_params, datetime.now(UTC))
            return Response(values.subjects(question))


class GroupValues(Endpoint):
    """The values of one group-by key."""

    access: ClassVar = {"GET": Access(permissions.METERS_READ.name, Scope.ANY_TENANT)}

    @extend_schema(parameters=_RANGE, responses=_NAMES)
    def get(self, request: Request, id_or_slug: str, key: str) -> Response:
        """List the values of a group-by key, in order."""
        with reach():
            meter = meters.get(id_or_slug)
            if key not in meter.group_by:
                raise NotFound("The meter has no such group-by key.", code="group_key_not_found")
            question = questions.of_range(meter, request.query_params, datetime.now(UTC))
            return Response(values.group_values(question, key))


def _answer(request: Request, question: Question) -> Response:
    rows = measure(question)
    renderer = getattr(request, "accepted_renderer", None)
    if isinstance(renderer, CsvRenderer):
        name = f'attachment; filename="{question.meter.slug}.csv"'
        return Response(_table(question, rows), headers={"Content-Disposition": name})
    body: dict[str, Any] = {"from": question.start, "to": question.end}
    body["windowSize"] = question.window
    body = {name: value for name, value in body.items() if value is not None}
    return Response(body | {"data": [row_shown(row) for row in rows]})


def row_shown(row: Row) -> dict[str, Any]:
    """Render one window and group."""
    body: dict[str, Any] = {
        "value": number(row.value),
        "valueDecimal": format(row.value, "f"),
        "windowStart": row.start,
        "windowEnd": row.end,
        "subject": row.subject,
        "groupBy": row.groups,
    }
    if row.tenant_id is not None:
        body["customerId"] = customers.public_id(row.tenant_id)
    return body


def number(value: Decimal) -> int | float:
    """Give the JSON number nearest to an exact value."""
    whole = value == value.to_integral_value() and abs(value) < LARGEST_INTEGER
    return int(value) if whole else float(value)


def _table(question: Question, rows: list[Row]) -> list[list[object]]:
    named = [name for name in question.group_by if name not in {SUBJECT, CUSTOMER}]
    with_subject = SUBJECT in question.group_by
    with_customer = CUSTOMER in question.group_by
    head = ["window_start", "window_end", *(["subject"] * with_subject)]
    head += [*(["customer_id"] * with_customer), *named, "value"]
    table: list[list[object]] = [[*head]]
    for row in rows:
        line: list[object] = [_time(row.start), _time(row.end)]
        line += [harmless(row.subject or "")] * with_subject
        if with_customer:
            line.append("" if row.tenant_id is None else customers.public_id(row.tenant_id))
        groups = [harmless(row.groups[name]) for name in named]
        table.append([*line, *groups, format(row.value, ".6f")])
    return table


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
