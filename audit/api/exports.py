"""A whole log in one answer."""

from typing import Any

from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from audit.actions import EXPORTED
from audit.api.logs import STREAM, stream_of, whole
from audit.api.text import BytesRenderer, TextRenderer
from audit.exports import archive, ndjson
from audit.exports.writers import FORMS, parquet_library
from audit.permissions import READ
from audit.queries import notes
from audit.services import audited, record
from kernel.authz import Access, Scope
from kernel.errors import Invalid
from kernel.http.endpoint import Endpoint
from kernel.http.render import OrjsonRenderer
from kernel.tenancy import current_tenant

FORM = OpenApiParameter(
    "format", str, enum=["ndjson", "csv", "parquet"], description="Default ndjson."
)
FIRST = OpenApiParameter(
    "first", int, description="Leaf index to begin at (csv, parquet); default 0."
)


class LinesRenderer(TextRenderer):
    """Lets clients ask for lines of JSON by their media type."""

    media_type = "application/x-ndjson"
    format = "ndjson"


class ZipRenderer(BytesRenderer):
    """Lets clients ask for ZIP files by their media type; ``format`` says what is in them."""

    media_type = "application/zip"
    format = "zip"


class Export(Endpoint):
    """The tenant's log as lines of JSON, or as a ZIP file with CSV or Parquet."""

    access = {"GET": Access(READ.name, Scope.TENANT)}
    renderer_classes = (LinesRenderer, OrjsonRenderer, ZipRenderer)

    @extend_schema(
        operation_id="audit_export_read",
        parameters=[STREAM, FORM, FIRST],
        responses={
            (200, "application/x-ndjson"): str,
            (200, "application/zip"): OpenApiTypes.BINARY,
        },
    )
    def get(self, request: Request, **_: Any) -> HttpResponseBase:
        """Stream a manifest (size, root, signed checkpoint) and every place of the log in order.

        The formats ``csv`` and ``parquet`` come as a ZIP file: rows, note, keys, and a manifest
        with the SHA-256 of each file and the proof of the range. The export itself is an entry,
        written before the first line leaves.
        """
        form = request.query_params.get("format", "ndjson")
        if form in FORMS:
            return _archive(request, form)
        if form != "ndjson":
            raise Invalid("format is ndjson, csv or parquet.", pointer="/query/format")
        signed = notes.newest(stream_of(request))
        head, published = signed.head, signed.published
        with audited():
            record(
                action=EXPORTED.name,
                target_type="audit_log",
                target_id=head.log_id.hex,
                metadata={"size": published.size, "form": "ndjson"},
            )
        name = f"audit-{head.log_id.hex[:8]}-{published.size}.ndjson"
        return StreamingHttpResponse(
            ndjson.lines(head, published, current_tenant(), ndjson.opening(head, published)),
            content_type="application/x-ndjson",
            headers={
                "Content-Disposition": f'attachment; filename="{name}"',
                "Cache-Control": "no-store",
            },
        )


def _archive(request: Request, form: str) -> HttpResponseBase:
    if form == "parquet":
        parquet_library()
    signed = notes.newest(stream_of(request))
    head, published = signed.head, signed.published
    first = whole(request, "first", default=0)
    if not 0 <= first <= published.size:
        raise Invalid(f"first is 0 to {published.size}.", pointer="/query/first")
    with audited():
        record(
            action=EXPORTED.name,
            target_type="audit_log",
            target_id=head.log_id.hex,
            metadata={"size": published.size, "first": first, "form": form},
        )
    name = f"audit-{head.log_id.hex[:8]}-{first}-{published.size}-{form}.zip"
    return StreamingHttpResponse(
        archive.stream(form, head, published, current_tenant(), first=first),
        content_type="application/zip",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )
