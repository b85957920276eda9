"""Usage as a file: figures of a meter, or events, streamed from one snapshot."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from django.http import HttpResponseBase, QueryDict, StreamingHttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from audit.registry import Action
from audit.services import audited, record
from billing.usage import permissions
from billing.usage.actions import EVENTS_EXPORTED, USAGE_EXPORTED
from billing.usage.api import parameters, questions
from billing.usage.api.events import shown
from billing.usage.api.figures import row_shown
from billing.usage.api.searches import FILTERS, searched
from billing.usage.cloudevents import LINES
from billing.usage.queries import customers, measure, meters
from billing.usage.queries import events as listing
from billing.usage.queries.events import Listed
from billing.usage.queries.question import CUSTOMER, SUBJECT, Question
from billing.usage.queries.streaming import Batch, Rows
from kernel.authz import Access, Scope
from kernel.csv_lines import harmless, written
from kernel.errors import Invalid
from kernel.http.endpoint import Endpoint
from kernel.http.render import OrjsonRenderer, dumps
from kernel.tenancy import current_tenant

FORMATS: Final = {"ndjson": LINES, "csv": "text/csv; charset=utf-8"}
_FORMAT: Final = OpenApiParameter("format", str, enum=list(FORMATS), description="Default ndjson.")
_EVENT_HEAD: Final = (
    "id", "source", "type", "subject", "time", "ingested_at", "validation_error", "data",
)  # fmt: skip
_TARGETS: Final = {USAGE_EXPORTED.name: "meter", EVENTS_EXPORTED.name: "tenant"}
Write = Callable[[Batch], list[Any]]


class LinesRenderer(BaseRenderer):
    """Lets clients ask for lines of JSON by their media type; what it renders are problems."""

    media_type = LINES
    format = "ndjson"

    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        """Write a problem document."""
        return OrjsonRenderer().render(data)


class CsvRenderer(LinesRenderer):
    """The same for tables."""

    media_type = "text/csv"
    format = "csv"


class UsageExport(Endpoint):
    """A meter's figures as a file."""

    access: ClassVar = {"GET": Access(permissions.USAGE_READ.name, Scope.TENANT)}
    renderer_classes = (LinesRenderer, OrjsonRenderer, CsvRenderer)

    @extend_schema(
        operation_id="export_usage",
        parameters=[
            _FORMAT,
            OpenApiParameter("meter", str, required=True, description="Slug or id."),
            OpenApiParameter("from", datetime),
            OpenApiParameter("to", datetime),
            OpenApiParameter("windowSize", str, enum=["MINUTE", "HOUR", "DAY", "MONTH"]),
            OpenApiParameter("windowTimeZone", str, description="IANA name, default UTC."),
            OpenApiParameter("subject", str, many=True),
            OpenApiParameter("filterGroupBy", str, description="JSON, or filterGroupBy[key]=…"),
            OpenApiParameter("advancedMeterGroupByFilters", str, description="JSON"),
            OpenApiParameter("groupBy", str, many=True),
        ],
        responses={(200, LINES): str, (200, "text/csv"): str},
    )
    def get(self, request: Request) -> HttpResponseBase:
        """Stream a meter's figures: what its query answers, of any length, from one snapshot.

        `ndjson` begins with a manifest (what was asked), then has one row a line, and ends with
        `{"end": 1, "rows": n}`: without that line it is incomplete. `csv` has a header and exact
        values. The export is an audit entry, written before the first line leaves.
        """
        query = request.query_params
        form = _form(query)
        name = query.get("meter")
        if not name:
            raise Invalid("meter names what to export.", pointer="/query/meter")
        question = questions.of_query(meters.get(name), query)
        rows = Rows(*measure.written(question), current_tenant())
        asked = {
            "meter": question.meter.slug,
            "from": question.start,
            "to": question.end,
            "windowSize": question.window,
            "windowTimeZone": question.zone,
            "groupBy": list(question.group_by),
        }
        export = _Export(form, USAGE_EXPORTED, meters.public_id(question.meter.id), asked)
        if form == "csv":
            return _answer(rows, export, _csv(rows, _figure_head(question), _cells(question)))
        return _answer(rows, export, _lines(rows, export, _figure_lines(question)))


class EventsExport(Endpoint):
    """Events as a file."""

    access: ClassVar = {"GET": Access(permissions.EVENTS_READ.name, Scope.TENANT)}
    renderer_classes = (LinesRenderer, OrjsonRenderer, CsvRenderer)

    @extend_schema(
        operation_id="export_events",
        parameters=[_FORMAT, *FILTERS],
        responses={(200, LINES): str, (200, "text/csv"): str},
    )
    def get(self, request: Request) -> HttpResponseBase:
        """Stream events, the oldest first, with the reason of those that do not count.

        The filters are those of the list; without `from` all that are kept. `ndjson` begins with a
        manifest, has one event a line as the list shows it, and ends with `{"end": 1, "rows": n}`:
        without that line it is incomplete. `csv` has a header; `data` is JSON. Archived months are
        not in it. The export is an audit entry, written before the first line leaves.
        """
        query = request.query_params
        form = _form(query)
        wanted = searched(query)
        rows = Rows(*listing.written(wanted), current_tenant())
        asked: dict[str, Any] = {"from": wanted.start, "to": wanted.end}
        # Values of filters may be personal, and entries of the log are for ever: names are enough.
        asked["filters"] = sorted(set(query) - {"format", *asked})
        export = _Export(form, EVENTS_EXPORTED, customers.public_id(current_tenant()), asked)
        if form == "csv":
            return _answer(rows, export, _csv(rows, _EVENT_HEAD, _event_cells))
        return _answer(rows, export, _lines(rows, export, _event_lines))


@dataclass(frozen=True, slots=True)
class _Export:
    """What leaves: its form, the action that it is, its target, what was asked."""

    form: str
    action: Action
    target: str
    asked: dict[str, Any]

    @property
    def stated(self) -> dict[str, Any]:
        """Give what was asked without what was left open."""
        return {name: value for name, value in self.asked.items() if value not in (None, [])}


class Stream:
    """The pieces of an export. Whoever stops reading closes it, and the snapshot with it."""

    def __init__(self, rows: Rows, pieces: Iterator[bytes]) -> None:
        self._rows, self._pieces = rows, pieces

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        """Let go of the snapshot."""
        self._rows.close()


def _form(query: QueryDict) -> str:
    return parameters.choice(query, "format", "ndjson", FORMATS)


def _answer(rows: Rows, export: _Export, pieces: Iterator[bytes]) -> HttpResponseBase:
    """Record the export, then begin it."""
    try:
        with audited():
            record(
                action=export.action.name,
                target_type=_TARGETS[export.action.name],
                target_id=export.target,
                metadata={"form": export.form, **_plain(export.stated)},
            )
    except BaseException:
        rows.close()
        raise
    name = export.asked.get("meter", "events")
    return StreamingHttpResponse(
        Stream(rows, pieces),
        content_type=FORMATS[export.form],
        headers={
            "Content-Disposition": f'attachment; filename="{name}.{export.form}"',
            "Cache-Control": "no-store",
        },
    )


def _plain(asked: dict[str, Any]) -> dict[str, Any]:
    """Write what was asked as an entry of the log may hold it: times as text."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asked.items()
    }


def _csv(rows: Rows, head: Sequence[str], cells: Write) -> Iterator[bytes]:
    yield written([head])
    for batch in rows:
        yield written(cells(batch))


def _lines(rows: Rows, export: _Export, documents: Write) -> Iterator[bytes]:
    yield dumps({"manifest": 1, "export": export.action.name, **export.stated}) + b"\n"
    many = 0
    for batch in rows:
        found = documents(batch)
        many += len(found)
        yield b"".join(dumps(document) + b"\n" for document in found)
    yield dumps({"end": 1, "rows": many}) + b"\n"


def _figure_head(question: Question) -> list[str]:
    names = {SUBJECT: "subject", CUSTOMER: "customer_id"}
    return ["window_start", "window_end", *(names.get(n, n) for n in question.group_by), "value"]


def _cells(question: Question) -> Write:
    def cells(batch: Batch) -> list[list[Any]]:
        table = []
        for row in measure.rows_of(question, batch):
            named: dict[str, Any] = {**row.groups, SUBJECT: row.subject}
            if row.tenant_id is not None:
                named[CUSTOMER] = customers.public_id(row.tenant_id)
            keys = [harmless(named[name]) for name in question.group_by]
            bounds = [_time(row.start), _time(row.end)]
            table.append([*bounds, *keys, format(row.value, "f")])
        return table

    return cells


def _figure_lines(question: Question) -> Write:
    return lambda batch: [row_shown(row) for row in measure.rows_of(question, batch)]


def _event_cells(batch: Batch) -> list[list[Any]]:
    table = []
    for event in (Listed(*row) for row in batch):
        texts = [event.id, event.source, event.type, event.subject]
        times = [_time(event.time), _time(event.ingested_at)]
        rest = [event.fault or "", event.data or ""]
        table.append([harmless(cell) for cell in (*texts, *times, *rest)])
    return table


def _event_lines(batch: Batch) -> list[dict[str, Any]]:
    return [shown(Listed(*row)) for row in batch]


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
