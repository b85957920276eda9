"""Figures of a meter: queries as JSON and CSV, its subjects, its group values."""

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Final

import msgspec
from drf_spectacular.utils import OpenApiParameter, extend_schema
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
from kernel.http import formats
from kernel.http.admittance import admit_request, facts_of_request
from kernel.http.endpoint import Endpoint
from kernel.http.hot import (
    HotEndpoint,
    HotRequest,
    LeanResponse,
    decode,
    json_body,
    json_response,
)
from kernel.http.render import dumps
from kernel.tenancy import adopted

LARGEST_INTEGER: Final = 2**53
"""Beyond it a JSON number may lose digits; the decimal text never does."""
_SHORT: Final = 15
"""Digits that a JSON number holds, whichever they are."""
_RANGE: Final = [
    OpenApiParameter("from", datetime, description="Default: 24 hours ago."),
    OpenApiParameter("to", datetime),
]
_ANSWERS: Final = {(200, "application/json"): ResultSerializer, (200, "text/csv"): str}
_ANY: Final = msgspec.json.Decoder()
_NAMES: Final[ListSerializer[Any]] = ListSerializer(child=CharField())


class Query(HotEndpoint):
    """A meter's figures, as JSON or CSV."""

    access: ClassVar = {
        "GET": Access(permissions.METERS_READ.name, Scope.ANY_TENANT),
        "POST": Access(permissions.METERS_READ.name, Scope.ANY_TENANT),
    }

    @classmethod
    def serve(cls, request: HotRequest, **kwargs: str) -> LeanResponse:
        """Answer the request; it only reads, so it runs in no transaction."""
        as_csv = formats.chosen(request, "application/json", "text/csv") == "text/csv"
        access = cls.access_of(request.method or "")
        # On Django's connection, which has the tenant from the gate and no limit of two seconds.
        principal = admit_request(request, access, None)
        started = time.perf_counter_ns()
        try:
            with adopted(principal.tenant_id), reach():
                meter = meters.get(kwargs["id_or_slug"])
                if request.method == "POST":
                    data = decode(_ANY, json_body(request) or b"{}")
                    question = questions.of_body(meter, data)
                else:
                    question = questions.of_query(meter, request.GET)
                rows = measure(question)
        finally:
            facts_of_request().stage("app", started)
        return _table(question, rows) if as_csv else json_response(_body(question, rows))

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
        responses=_ANSWERS,
    )
    def get(self, request: Request, id_or_slug: str) -> Response:
        """Read a meter over [from, to), in civil windows of a zone, by group; JSON or CSV.

        Every event is in the answer from the first read after its 204. Windows without events have
        no row.
        """
        raise TypeError("served by serve")

    @extend_schema(request=QuestionSerializer, responses=_ANSWERS)
    def post(self, request: Request, id_or_slug: str) -> Response:
        """Read a meter, the question in the body."""
        raise TypeError("served by serve")


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


def _body(question: Question, rows: list[Row]) -> bytes:
    body: dict[str, Any] = {"from": question.start, "to": question.end}
    body["windowSize"] = question.window
    body = {name: value for name, value in body.items() if value is not None}
    return dumps(body | {"data": [row_shown(row) for row in rows]})


def row_shown(row: Row) -> dict[str, Any]:
    """Render one window and group."""
    value, text = both(row.value)
    body: dict[str, Any] = {
        "value": value,
        "valueDecimal": text,
        "windowStart": row.start,
        "windowEnd": row.end,
        "subject": row.subject,
        "groupBy": row.groups,
    }
    if row.tenant_id is not None:
        body["customerId"] = customers.public_id(row.tenant_id)
    return body


def both(value: Decimal) -> tuple[int | float, str]:
    """Give the JSON number nearest to an exact value, and its text."""
    text = f"{value:f}"
    if len(text) <= _SHORT and text.isdigit():
        return int(text), text
    return number(value), text


def number(value: Decimal) -> int | float:
    """Give the JSON number nearest to an exact value."""
    whole = value == value.to_integral_value() and abs(value) < LARGEST_INTEGER
    return int(value) if whole else float(value)


def _table(question: Question, rows: list[Row]) -> LeanResponse:
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
    answer = LeanResponse(written(table), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{question.meter.slug}.csv"'
    return answer


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
