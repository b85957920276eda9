"""Streams over the API: a tenant's with its keys, the instance's own with a platform key."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit.permissions import MANAGE, READ
from audit.streams import queries, services
from audit.streams.jobs import send_test
from audit.streams.models import LogStream
from audit.streams.queries import Health
from audit.streams.services import STREAM_PREFIX, NewStream, owner
from kernel.authz import Access, Scope
from kernel.http.endpoint import Endpoint
from kernel.http.inputs import Input, ReasonInput, body, identifier
from kernel.http.pagination import select, window
from kernel.http.schema import PAGE, page_of
from kernel.ids import encode
from kernel.jobs import enqueue

LONGEST_URL: Final = 2_000
STARTS: Final = ("beginning", "now")


class NewStreamInput(Input):
    """A stream to make."""

    name = serializers.CharField(max_length=100)
    kind = serializers.ChoiceField(
        LogStream.Kind.values,
        help_text="webhook: lines of JSON, signed (Standard Webhooks). splunk: HTTP Event "
        "Collector. syslog: RFC 5424 over TLS.",
    )
    url = serializers.CharField(
        max_length=LONGEST_URL, help_text="https://…, or syslog+tls://host:port."
    )
    content = serializers.ChoiceField(
        LogStream.Content.values, default=LogStream.Content.ENTRIES.value
    )
    logs = serializers.ChoiceField(
        LogStream.Scope.values,
        default=LogStream.Scope.BOTH.value,
        help_text="Which logs; `everything` is the operator's alone.",
    )
    token = serializers.CharField(
        max_length=500, required=False, default="", help_text="Splunk's token; shown never again."
    )
    start = serializers.ChoiceField(
        STARTS, default="beginning", help_text="From the first entry, or what comes from now on."
    )


class ResumeInput(ReasonInput):
    """How a stream goes on."""

    from_beginning = serializers.BooleanField(
        required=False, default=False, help_text="Send everything again (backfill)."
    )


class StreamSerializer(serializers.Serializer[Any]):
    """A stream and how it fares."""

    id = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(LogStream.Kind.values)
    content = serializers.ChoiceField(LogStream.Content.values)
    logs = serializers.ChoiceField(LogStream.Scope.values)
    url = serializers.CharField(help_text="Without its query.")
    status = serializers.ChoiceField(LogStream.Status.values)
    reason = serializers.CharField(help_text="Why it is paused: asked, failing or gone.")
    created_at = serializers.DateTimeField()
    delivered = serializers.IntegerField(help_text="Places sent so far, repetitions included.")
    waiting = serializers.IntegerField(help_text="Places not delivered yet.")
    waiting_since = serializers.DateTimeField(allow_null=True)
    failures = serializers.IntegerField(help_text="Failed attempts in a row.")
    failing_since = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField()
    last_success_at = serializers.DateTimeField(allow_null=True)
    tested_at = serializers.DateTimeField(allow_null=True)
    test_outcome = serializers.CharField(help_text="arrived, or what went wrong.")


class MadeStreamSerializer(StreamSerializer):
    """A new stream."""

    secret = serializers.CharField(
        help_text="Signs the messages of a webhook (whsec_…); shown this once."
    )


PAGE_OF_STREAMS = page_of("AuditStreamPage", StreamSerializer)


class Streams(Endpoint):
    """The streams of a tenant, or of the instance."""

    access: ClassVar = {
        "GET": Access(READ.name, Scope.ANY_TENANT),
        "POST": Access(MANAGE.name, Scope.ANY_TENANT, secret=True),
    }

    @extend_schema(operation_id="audit_streams_list", parameters=PAGE, responses=PAGE_OF_STREAMS)
    def get(self, request: Request) -> Response:
        """List streams with their health, newest first."""
        found, following = window(queries.listed(owner()), request.query_params)
        items = select(shown(found), request.query_params)
        return Response({"items": items, "next": following})

    @extend_schema(
        operation_id="audit_streams_create",
        request=NewStreamInput,
        responses={201: MadeStreamSerializer},
    )
    def post(self, request: Request) -> Response:
        """Begin a stream: every entry arrives at least once, in its log's order."""
        given = body(request, NewStreamInput)
        made = services.create(
            NewStream(
                name=given["name"],
                kind=given["kind"],
                url=given["url"],
                content=given["content"],
                scope=given["logs"],
                token=given["token"],
                from_beginning=given["start"] == "beginning",
            )
        )
        return Response({**shown([made.stream])[0], "secret": made.secret}, 201)


class OneStream(Endpoint):
    """One stream."""

    access: ClassVar = {
        "GET": Access(READ.name, Scope.ANY_TENANT),
        "DELETE": Access(MANAGE.name, Scope.ANY_TENANT),
    }

    @extend_schema(operation_id="audit_streams_read", responses=StreamSerializer)
    def get(self, request: Request, stream: str) -> Response:
        """Read a stream and how it fares."""
        return Response(shown([queries.by_id(owner(), stream_id(stream))])[0])

    @extend_schema(operation_id="audit_streams_delete", responses={204: None})
    def delete(self, request: Request, stream: str) -> Response:
        """End a stream for good; its secret is forgotten."""
        services.delete(stream_id(stream))
        return Response(status=204)


class Pause(Endpoint):
    """Pausing a stream."""

    access: ClassVar = {"POST": Access(MANAGE.name, Scope.ANY_TENANT)}

    @extend_schema(
        operation_id="audit_streams_pause", request=ReasonInput, responses=StreamSerializer
    )
    def post(self, request: Request, stream: str) -> Response:
        """Stop sending; the stream remembers where it was."""
        reason = body(request, ReasonInput)["reason"]
        return Response(shown([services.pause(stream_id(stream), reason=reason)])[0])


class Resume(Endpoint):
    """Resuming a stream."""

    access: ClassVar = {"POST": Access(MANAGE.name, Scope.ANY_TENANT)}

    @extend_schema(
        operation_id="audit_streams_resume", request=ResumeInput, responses=StreamSerializer
    )
    def post(self, request: Request, stream: str) -> Response:
        """Send again from where the stream stopped, or everything anew."""
        resumed = services.resume(stream_id(stream), **body(request, ResumeInput))
        return Response(shown([resumed])[0])


class Test(Endpoint):
    """Testing a stream."""

    access: ClassVar = {"POST": Access(MANAGE.name, Scope.ANY_TENANT)}

    @extend_schema(
        operation_id="audit_streams_test", request=None, responses={202: StreamSerializer}
    )
    def post(self, request: Request, stream: str) -> Response:
        """Send a message without content; `test_outcome` tells what came of it."""
        found = services.note_test(stream_id(stream))
        enqueue(send_test, stream_id=str(found.id))
        return Response(shown([found])[0], 202)


def stream_id(text: str) -> UUID:
    """Read a stream's id out of a path.

    Raises:
        kernel.errors.NotFound: it is none.
    """
    return identifier(STREAM_PREFIX, text, "There is no such stream.", code="stream_not_found")


def shown(streams: Sequence[LogStream]) -> list[dict[str, Any]]:
    """Show streams with their health, which is read by one statement for all of them."""
    health = queries.health_of(streams)
    return [_shown(stream, health[stream.id]) for stream in streams]


def _shown(stream: LogStream, health: Health) -> dict[str, Any]:
    return {
        "id": encode(STREAM_PREFIX, stream.id),
        "name": stream.name,
        "kind": stream.kind,
        "content": stream.content,
        "logs": stream.scope,
        "url": urlsplit(stream.url)._replace(query="").geturl(),
        "status": stream.status,
        "reason": stream.reason,
        "created_at": stream.created_at,
        "delivered": health.delivered,
        "waiting": health.waiting,
        "waiting_since": health.waiting_since,
        "failures": health.failures,
        "failing_since": health.failing_since,
        "last_error": health.last_error,
        "last_success_at": health.last_success_at,
        "tested_at": health.tested_at,
        "test_outcome": health.test_outcome,
    }
