"""Entries: the tenant's list, one entry, its proof; the operator's list over all tenants."""

from base64 import b64encode
from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit.api.rendering import EVENT_PREFIX, page, render
from audit.api.text import TextRenderer
from audit.models import Event, Leaf
from audit.permissions import READ
from audit.queries.events import entry
from audit.queries.filters import Condition, Filter
from audit.queries.proofs import InclusionProof, inclusion, inclusion_by_hash
from audit.queries.retention import may_lack
from kernel.authz import Access, Scope
from kernel.errors import DomainError, Gone, NotFound, Unavailable
from kernel.http.endpoint import Endpoint
from kernel.http.inputs import identifier, tenant_id
from kernel.http.render import OrjsonRenderer
from kernel.http.schema import PAGE, page_of

FILTERS = [
    OpenApiParameter("action", str, description="Exact, or a group: `key.*`."),
    OpenApiParameter("actor", str, description="Id of who did it."),
    OpenApiParameter("actor_type", str),
    OpenApiParameter("target", str, description="Id of the first thing acted on."),
    OpenApiParameter("target_type", str),
    OpenApiParameter("outcome", str, enum=["success", "denied", "failed"]),
    OpenApiParameter("request_id", str),
    OpenApiParameter("from", OpenApiTypes.DATETIME, description="Made at or after."),
    OpenApiParameter("to", OpenApiTypes.DATETIME, description="Made before."),
    OpenApiParameter("q", str, description='Words in sealed entries: `word "a phrase" -not`.'),
]


@extend_schema_serializer(component_name="AuditEvent")
class EventSerializer(serializers.Serializer[Any]):
    """One entry of the log."""

    id = serializers.CharField()
    tenant = serializers.CharField(allow_null=True)
    stream = serializers.ChoiceField(choices=["platform", "tenant"])
    action = serializers.CharField()
    schema = serializers.IntegerField()
    severity = serializers.ChoiceField(choices=["info", "notice", "warning", "critical"])
    summary = serializers.CharField()
    occurred_at = serializers.DateTimeField()
    recorded_at = serializers.DateTimeField()
    actor = serializers.DictField()
    targets = serializers.ListField(child=serializers.DictField())
    outcome = serializers.ChoiceField(choices=["success", "denied", "failed"])
    context = serializers.DictField(  # type: ignore[assignment]  # a field, not DRF's property
        help_text="Erased personal values show as commitments `c:…`."
    )
    changes = serializers.DictField()
    leaf_hash = serializers.CharField(help_text="Base64 of SHA-256(0x00 ‖ leaf).")
    sealed = serializers.BooleanField()
    log = serializers.CharField(allow_null=True)
    leaf_index = serializers.IntegerField(allow_null=True)


class ProofSerializer(serializers.Serializer[Any]):
    """What shows offline that an entry is in its log."""

    sealed = serializers.BooleanField()
    log = serializers.CharField()
    origin = serializers.CharField()
    leaf_index = serializers.IntegerField()
    size = serializers.IntegerField()
    leaf = serializers.CharField(help_text="Base64 of the exact hashed bytes.")
    leaf_hash = serializers.CharField()
    path = serializers.ListField(child=serializers.CharField())
    checkpoint = serializers.CharField(help_text="The signed note, verbatim.")


class EventList(Endpoint):
    """The tenant's entries."""

    access = {"GET": Access(READ.name, Scope.TENANT, sensitive=True)}

    @extend_schema(
        operation_id="audit_events_list",
        parameters=[*FILTERS, *PAGE],
        responses=page_of("AuditEventPage", EventSerializer),
    )
    def get(self, request: Request) -> Response:
        """List entries, newest first. Reading them is an entry itself."""
        return Response(page(request.query_params.dict()))


class OperatorEventList(Endpoint):
    """Entries of all tenants and of the instance itself."""

    access = {"GET": Access(READ.name, Scope.OPERATOR, sensitive=True)}

    @extend_schema(
        operation_id="admin_audit_events_list",
        parameters=[
            OpenApiParameter("tenant", str, description="Only this tenant (ten_…)."),
            *FILTERS,
            *PAGE,
        ],
        responses=page_of("OperatorAuditEventPage", EventSerializer),
    )
    def get(self, request: Request) -> Response:
        """List entries of all tenants, newest first."""
        query = request.query_params.dict()
        named = query.get("tenant")
        of_one = (Condition("e.tenant_id = {}::uuid", tenant_id(named)),) if named else ()
        return Response(page(query, Filter(of_one)))


class EventDetail(Endpoint):
    """One entry of the tenant."""

    access = {"GET": Access(READ.name, Scope.TENANT)}

    @extend_schema(operation_id="audit_events_read", responses=EventSerializer)
    def get(self, request: Request, event: str) -> Response:
        """Read one entry; one that retention has let go answers 410 (``audit_entries_pruned``)."""
        event_id = _identifier(event)
        found = entry(event_id)
        if found is None:
            raise _absent(event_id)
        return Response(render([found])[0])


class EventProof(Endpoint):
    """The proof of one entry."""

    access = {"GET": Access(READ.name, Scope.TENANT)}
    renderer_classes = (OrjsonRenderer, TextRenderer)

    @extend_schema(operation_id="audit_events_proof", responses=ProofSerializer)
    def get(self, request: Request, event: str) -> Response:
        """Prove that the entry is in the log; ``Accept: text/plain`` gives a C2SP tlog-proof.

        An entry that has no place yet answers 404 with the code ``not_sealed``; ask again in a
        second. One that retention has let go is proved by its hash: ``leaf`` is empty.
        """
        event_id = _identifier(event)
        found = Event.objects.filter(id=event_id).first()
        proof = inclusion(found) if found is not None else inclusion_by_hash(event_id)
        if proof is None and found is None:
            raise NotFound
        if proof is None:
            raise NotFound("The entry is not sealed yet.", code="not_sealed", retry_after=1)
        if isinstance(request.accepted_renderer, TextRenderer):
            return Response(proof.tlog().encode())
        return Response(_proof(proof))


def _identifier(text: str) -> UUID:
    return identifier(EVENT_PREFIX, text, "There is no such resource.", code="not_found")


def _absent(identifier: UUID) -> DomainError:
    leaf = Leaf.objects.filter(event_id=identifier).first()
    if leaf is None:
        return NotFound()
    if may_lack(leaf.log_id, range(leaf.leaf_index, leaf.leaf_index + 1)):
        return Gone("Retention has let this entry go.", code="audit_entries_pruned")
    return Unavailable("The stored log lacks this entry; see audit_verify.")


def _proof(proof: InclusionProof) -> dict[str, Any]:
    return {
        "sealed": True,
        "log": proof.log_id.hex,
        "origin": proof.origin,
        "leaf_index": proof.index,
        "size": proof.published.size,
        "leaf": b64encode(proof.leaf).decode(),
        "leaf_hash": b64encode(proof.leaf_hash).decode(),
        "path": [b64encode(entry).decode() for entry in proof.path],
        "checkpoint": proof.published.note,
    }
