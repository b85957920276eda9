"""A whole log in one answer."""

from typing import Any

from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from audit.actions import EXPORTED
from audit.api.logs import STREAM, stream_of
from audit.api.text import TextRenderer
from audit.exports import ndjson
from audit.permissions import READ
from audit.queries import notes
from audit.services import audited, record
from kernel.authz import Access, Scope
from kernel.http.endpoint import Endpoint
from kernel.http.render import OrjsonRenderer
from kernel.tenancy import current_tenant


class LinesRenderer(TextRenderer):
    """Lets clients ask for lines of JSON by their media type."""

    media_type = "application/x-ndjson"
    format = "ndjson"


class Export(Endpoint):
    """The tenant's log as lines of JSON."""

    access = {"GET": Access(READ.name, Scope.TENANT)}
    renderer_classes = (LinesRenderer, OrjsonRenderer)

    @extend_schema(
        operation_id="audit_export_read",
        parameters=[STREAM],
        responses={(200, "application/x-ndjson"): str},
    )
    def get(self, request: Request, **_: Any) -> HttpResponseBase:
        """Stream a manifest (size, root, signed checkpoint) and every place of the log in order.

        The export itself is an entry, written before the first line leaves.
        """
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
