"""The instance's anchors, for the operator."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit.permissions import READ
from audit.streams import queries
from kernel.authz import Access, Scope
from kernel.http.endpoint import Endpoint


class AnchorSerializer(serializers.Serializer[Any]):
    """An anchor and how it fares."""

    name = serializers.CharField()
    kind = serializers.CharField(help_text="rfc3161 or witness.")
    log = serializers.CharField(allow_null=True, help_text="The log of heads that it holds.")
    size = serializers.IntegerField()
    anchored_at = serializers.DateTimeField(allow_null=True)
    failures = serializers.IntegerField(help_text="Failed attempts in a row.")
    last_error = serializers.CharField()
    next_at = serializers.DateTimeField()


class AnchorListSerializer(serializers.Serializer[Any]):
    """All anchors that the settings name."""

    items = AnchorSerializer(many=True)


class Anchors(Endpoint):
    """The anchors of the log of heads."""

    access: ClassVar = {"GET": Access(READ.name, Scope.OPERATOR)}

    @extend_schema(operation_id="admin_audit_anchors_list", responses=AnchorListSerializer)
    def get(self, request: Request) -> Response:
        """List the anchors beside the files: what each took last, and what went wrong."""
        return Response(
            {
                "items": [
                    {
                        "name": anchor.name,
                        "kind": anchor.kind,
                        "log": anchor.log_id.hex if anchor.log_id else None,
                        "size": anchor.size,
                        "anchored_at": anchor.anchored_at,
                        "failures": anchor.failures,
                        "last_error": anchor.last_error,
                        "next_at": anchor.next_at,
                    }
                    for anchor in queries.anchors()
                ]
            }
        )
