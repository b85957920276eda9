"""A tenant's logs: newest checkpoint, consistency, the gap-free feed."""

import json
import re
from base64 import b64encode
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit.api.rendering import EVENT_PREFIX
from audit.api.text import TextRenderer
from audit.models import Stream
from audit.permissions import READ
from audit.queries import logs, notes, proofs
from audit.sealing.keys import ring
from kernel.authz import Access, Scope
from kernel.errors import Invalid
from kernel.http.endpoint import Endpoint
from kernel.http.pagination import limit_of
from kernel.http.render import OrjsonRenderer
from kernel.ids import encode

STREAM = OpenApiParameter(
    "stream", str, enum=["platform", "tenant"], description="Whose log; default platform."
)
_WHOLE = re.compile(r"-1|[0-9]{1,18}")


class CheckpointSerializer(serializers.Serializer[Any]):
    """The signed state of a log and the keys that sign it."""

    log = serializers.CharField()
    origin = serializers.CharField()
    size = serializers.IntegerField()
    root = serializers.CharField()  # type: ignore[assignment]  # a field, not DRF's property
    note = serializers.CharField(help_text="C2SP checkpoint, verbatim.")
    vkeys = serializers.ListField(
        child=serializers.CharField(), help_text="C2SP verifier keys, the newest first."
    )
    heads_alias = serializers.CharField(help_text="The log's name in the heads log.")


class ConsistencySerializer(serializers.Serializer[Any]):
    """What shows that a log only grew."""

    log = serializers.CharField()
    old = serializers.IntegerField()
    new = serializers.IntegerField()
    path = serializers.ListField(child=serializers.CharField())


class FeedItemSerializer(serializers.Serializer[Any]):
    """One place of the log."""

    leaf_index = serializers.IntegerField()
    id = serializers.CharField()
    leaf = serializers.DictField(help_text="The hashed document, parsed.")


class FeedSerializer(serializers.Serializer[Any]):
    """A gap-free piece of a log, in its order."""

    log = serializers.CharField()
    first = serializers.IntegerField(help_text="Leaf index of the first place asked for.")
    items = FeedItemSerializer(many=True)
    next = serializers.IntegerField(help_text="Pass as `after`; equal to it when nothing is new.")
    checkpoint = serializers.CharField(help_text="A signed note that covers every item.")


class Checkpoint(Endpoint):
    """The newest checkpoint."""

    access = {"GET": Access(READ.name, Scope.TENANT)}
    renderer_classes = (OrjsonRenderer, TextRenderer)

    @extend_schema(
        operation_id="audit_checkpoint_read", parameters=[STREAM], responses=CheckpointSerializer
    )
    def get(self, request: Request) -> Response:
        """Sign the log's present state; ``Accept: text/plain`` gives the note alone."""
        signed = notes.newest(stream_of(request))
        head, published = signed.head, signed.published
        if isinstance(request.accepted_renderer, TextRenderer):
            return Response(published.note)
        keys = ring()
        return Response(
            {
                "log": head.log_id.hex,
                "origin": head.origin,
                "size": published.size,
                "root": b64encode(published.root).decode(),
                "note": published.note,
                "vkeys": [key.vkey for pair in keys.verifiers(head.origin) for key in pair],
                "heads_alias": keys.log_alias(head.log_id),
            }
        )


class Consistency(Endpoint):
    """The proof that the log only grew."""

    access = {"GET": Access(READ.name, Scope.TENANT)}

    @extend_schema(
        operation_id="audit_consistency_read",
        parameters=[
            STREAM,
            OpenApiParameter("old", int, required=True),
            OpenApiParameter("new", int, description="Default: the present size."),
        ],
        responses=ConsistencySerializer,
    )
    def get(self, request: Request) -> Response:
        """Prove that the log of ``old`` entries is the beginning of the log of ``new`` entries."""
        head = logs.newest(stream_of(request))
        new = whole(request, "new", default=head.size)
        proof = proofs.consistency(head, whole(request, "old", default=0), new)
        return Response(
            {
                "log": proof.log_id.hex,
                "old": proof.old,
                "new": proof.new,
                "path": [b64encode(entry).decode() for entry in proof.path],
            }
        )


class Feed(Endpoint):
    """The log as a stream of places: for a SIEM, an archive, a mirror."""

    access = {"GET": Access(READ.name, Scope.TENANT, sensitive=True)}

    @extend_schema(
        operation_id="audit_feed_read",
        parameters=[
            STREAM,
            OpenApiParameter("after", int, description="Last leaf index seen; default none."),
            OpenApiParameter("limit", int, description="1 to 100, default 50."),
        ],
        responses=FeedSerializer,
    )
    def get(self, request: Request) -> Response:
        """Read places in order, without gaps. The leaf index is the only safe cursor: times and
        ids would lose entries that were committed late.
        """
        head = logs.newest(stream_of(request))
        first = whole(request, "after", default=-1) + 1
        stop = min(first + limit_of(request.query_params), head.size)
        found = logs.entries(head.log_id, first, stop)
        published = proofs.checkpoint(head.log_id, at_least=max(stop, 1))
        return Response(
            {
                "log": head.log_id.hex,
                "first": first,
                "items": [
                    {
                        "leaf_index": index,
                        "id": encode(EVENT_PREFIX, event),
                        "leaf": json.loads(leaf),
                    }
                    for index, event, leaf in found
                ],
                "next": max(stop - 1, first - 1),
                "checkpoint": published.note,
            }
        )


def stream_of(request: Request) -> Stream:
    """Read the parameter ``stream``.

    Raises:
        kernel.errors.Invalid: it is neither ``platform`` nor ``tenant``.
    """
    name = request.query_params.get("stream", "platform")
    if name not in ("platform", "tenant"):
        raise Invalid("stream is platform or tenant.", pointer="/query/stream")
    return Stream[name.upper()]


def whole(request: Request, name: str, *, default: int) -> int:
    """Read a whole number, -1 included (for ``after``).

    Raises:
        kernel.errors.Invalid: it is none.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    if not _WHOLE.fullmatch(text):
        raise Invalid(f"{name} is a whole number.", pointer=f"/query/{name}")
    return int(text)
