"""Viewer tokens, and the list that they open."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit.api.events import FILTERS, EventSerializer
from audit.api.rendering import page
from audit.permissions import MANAGE, VIEW
from audit.queries import viewers as queries
from audit.queries.filters import read
from audit.services import viewers
from audit.services.viewers import Viewer
from kernel.authz import Access, Scope, current_principal
from kernel.http.endpoint import Endpoint
from kernel.http.inputs import Input, body, identifier
from kernel.http.pagination import decode_cursor, encode_cursor, limit_of, select
from kernel.http.schema import PAGE, page_of
from kernel.ids import encode
from kernel.tenancy import current_tenant


class ViewerInput(Input):
    """What a token may see, and for how long."""

    label = serializers.CharField(max_length=200)  # type: ignore[assignment]  # DRF's own name
    filter = serializers.DictField(
        child=serializers.CharField(),
        required=False,
        default=dict,
        help_text="As the parameters of the list: action, actor, target, from, …; none sees all.",
    )
    minutes = serializers.IntegerField(
        required=False, default=60, min_value=1, max_value=viewers.LONGEST_MINUTES
    )


@extend_schema_serializer(component_name="AuditViewer")
class ViewerSerializer(serializers.Serializer[Any]):
    """A token; never its text."""

    id = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field, not DRF's property
    filter = serializers.DictField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)


@extend_schema_serializer(component_name="NewAuditViewer")
class NewViewerSerializer(ViewerSerializer):
    """A new token with its text, shown this once."""

    token = serializers.CharField()


class ViewerTokens(Endpoint):
    """Viewer tokens of the tenant."""

    access: ClassVar = {
        "GET": Access(MANAGE.name, Scope.TENANT),
        "POST": Access(MANAGE.name, Scope.TENANT, secret=True),
    }

    @extend_schema(
        operation_id="audit_viewer_tokens_list",
        parameters=PAGE,
        responses=page_of("AuditViewerPage", ViewerSerializer),
    )
    def get(self, request: Request) -> Response:
        """List tokens, newest first, ended ones too."""
        query = request.query_params
        limit = limit_of(query)
        before = decode_cursor(query["cursor"]) if query.get("cursor") else None
        found = queries.listed(current_tenant(), limit + 1, before)
        following = encode_cursor(found[limit - 1].id) if len(found) > limit else None
        return Response({"items": select(map(_viewer, found[:limit]), query), "next": following})

    @extend_schema(
        operation_id="audit_viewer_tokens_create",
        request=ViewerInput,
        responses={201: NewViewerSerializer},
    )
    def post(self, request: Request) -> Response:
        """Make a token that may read the tenant's entries within a filter, for a day at most."""
        given = body(request, ViewerInput)
        read(given["filter"])  # refuses malformed values
        made, text = viewers.create(
            current_tenant(),
            label=given["label"],
            narrowed=given["filter"],
            minutes=given["minutes"],
        )
        return Response({**_viewer(made), "token": text}, 201)


class ViewerRevocation(Endpoint):
    """The end of a token."""

    access: ClassVar = {"POST": Access(MANAGE.name, Scope.TENANT)}

    @extend_schema(operation_id="audit_viewer_tokens_revoke", request=None, responses={204: None})
    def post(self, request: Request, viewer: str) -> Response:
        """Revoke a token: refused from the next request on."""
        known = identifier(viewers.PREFIX, viewer, "There is no such token.", code="not_found")
        viewers.revoke(known)
        return Response(status=204)


class ViewerEvents(Endpoint):
    """The entries that a viewer token may see."""

    access: ClassVar = {"GET": Access(VIEW.name, Scope.TENANT, sensitive=True)}

    @extend_schema(
        operation_id="audit_viewer_events_list",
        parameters=[*FILTERS, *PAGE],
        responses=page_of("AuditViewerEventPage", EventSerializer),
    )
    def get(self, request: Request) -> Response:
        """List entries within the token's filter, newest first. Reading them is an entry itself."""
        bound = queries.filter_of(current_principal().id)
        return Response(page(request.query_params.dict(), read(bound)))


def _viewer(one: Viewer) -> dict[str, Any]:
    return {
        "id": encode(viewers.PREFIX, one.id),
        "label": one.label,
        "filter": dict(one.filter),
        "created_at": one.created_at,
        "expires_at": one.expires_at,
        "revoked_at": one.revoked_at,
    }
