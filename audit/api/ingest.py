"""Entries and action schemas of the tenant's own applications."""

from base64 import b64encode
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit.api.events import EventList
from audit.api.rendering import EVENT_PREFIX
from audit.models import Declaration, Outcome
from audit.permissions import MANAGE, READ, WRITE
from audit.queries.backlog import pressure
from audit.services.declaring import declare
from audit.services.entry import Target
from audit.services.ingesting import MOST, Ingested, Submission, ingest
from kernel.authz import Access, Scope
from kernel.errors import Invalid, TooLarge
from kernel.http.endpoint import Endpoint
from kernel.http.inputs import Input
from kernel.http.pagination import page
from kernel.http.schema import PAGE, page_of
from kernel.ids import encode
from kernel.tenancy import current_tenant

SCHEMA_PREFIX = "aus"


class PartySerializer(Input):
    """Who acted, or what was acted on."""

    type = serializers.CharField(max_length=64)
    id = serializers.CharField(max_length=200)


class SubmissionSerializer(Input):
    """One entry of an application."""

    action = serializers.CharField(max_length=128)
    actor = PartySerializer()
    targets = serializers.ListField(
        child=PartySerializer(), required=False, default=list, max_length=20
    )
    metadata = serializers.DictField(required=False, default=dict)
    outcome = serializers.ChoiceField(choices=Outcome.choices, default=Outcome.SUCCESS)
    external_id = serializers.CharField(max_length=200, required=False, default="")
    occurred_at = serializers.DateTimeField(required=False, default=None)
    ip = serializers.IPAddressField(required=False, default="")
    user_agent = serializers.CharField(max_length=500, required=False, default="")
    request_id = serializers.CharField(max_length=200, required=False, default="")


class BatchSerializer(Input):
    """One to a thousand entries."""

    events = SubmissionSerializer(many=True)


class ReceiptSerializer(serializers.Serializer[Any]):
    """What became of one entry."""

    id = serializers.CharField()
    duplicate = serializers.BooleanField(help_text="The external id had been recorded before.")
    leaf_hash = serializers.CharField(allow_null=True, help_text="It will be sealed under this.")


class ReceiptsSerializer(serializers.Serializer[Any]):
    """What became of a batch, in its order."""

    items = ReceiptSerializer(many=True)


class DeclarationSerializer(Input):
    """An action of the tenant's applications."""

    id = serializers.CharField(read_only=True)
    action = serializers.CharField(max_length=128)
    version = serializers.IntegerField(read_only=True)
    template = serializers.CharField(
        max_length=300, required=False, default="", allow_blank=True, help_text="{actor}, {target}"
    )
    schema = serializers.DictField(
        help_text="JSON Schema of the metadata; `x-personal: true` marks personal properties."
    )
    created_at = serializers.DateTimeField(read_only=True)


class Events(EventList):
    """The tenant's entries, and the way in for its own applications."""

    access = {**EventList.access, "POST": Access(WRITE.name, Scope.TENANT)}

    @extend_schema(
        operation_id="audit_events_create",
        request=BatchSerializer,
        responses={201: ReceiptsSerializer},
    )
    def post(self, request: Request) -> Response:
        """Record up to 1,000 entries of declared actions: all of them or none.

        While entries wait for their seal for more than 30 seconds the answer is 503
        ``audit_lagging`` with Retry-After.
        """
        pressure.check()
        submissions = _submissions(request.data)
        outcomes = ingest(current_tenant(), submissions)
        return Response({"items": [_receipt(one) for one in outcomes]}, 201)


class Declarations(Endpoint):
    """Action schemas."""

    access = {
        "GET": Access(READ.name, Scope.TENANT),
        "POST": Access(MANAGE.name, Scope.TENANT),
    }

    @extend_schema(
        operation_id="audit_schemas_list",
        parameters=PAGE,
        responses=page_of("AuditSchemaPage", DeclarationSerializer),
    )
    def get(self, request: Request) -> Response:
        """List every version of every declared action, newest first."""
        return Response(page(Declaration.objects.all(), request.query_params, _declaration))

    @extend_schema(
        operation_id="audit_schemas_create",
        request=DeclarationSerializer,
        responses={201: DeclarationSerializer},
    )
    def post(self, request: Request) -> Response:
        """Declare an action or its next version; the same again changes nothing."""
        given = DeclarationSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = declare(current_tenant(), **given.validated_data)
        return Response(_declaration(made), 201)


def _submissions(body: Any) -> list[Submission]:
    if isinstance(body, dict) and "events" not in body:
        body = {"events": [body]}
    if isinstance(body, list):
        body = {"events": body}
    events = body.get("events") if isinstance(body, dict) else None
    if not isinstance(events, list) or not events:
        raise Invalid("Send one entry, or events: a list of them.", pointer="/events")
    if len(events) > MOST:
        raise TooLarge(f"At most {MOST} entries at once.", pointer="/events")
    given = BatchSerializer(data=body)
    given.is_valid(raise_exception=True)
    return [_submission(one) for one in given.validated_data["events"]]


def _submission(given: dict[str, Any]) -> Submission:
    actor, targets = given.pop("actor"), given.pop("targets")
    return Submission(
        **{**given, "outcome": Outcome(given["outcome"])},
        actor_type=actor["type"],
        actor_id=actor["id"],
        targets=[Target(one["type"], one["id"]) for one in targets],
    )


def _receipt(one: Ingested) -> dict[str, Any]:
    return {
        "id": encode(EVENT_PREFIX, one.event_id),
        "duplicate": one.receipt is None,
        "leaf_hash": b64encode(one.receipt.leaf_hash).decode() if one.receipt else None,
    }


def _declaration(row: Declaration) -> dict[str, Any]:
    return {
        "id": encode(SCHEMA_PREFIX, row.id),
        "action": row.action,
        "version": row.version,
        "template": row.template,
        "schema": row.schema,
        "created_at": row.created_at,
    }
