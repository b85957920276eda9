"""Voiding and correcting events over HTTP."""

from typing import Any, ClassVar

import msgspec
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.usage import permissions
from billing.usage.api import parameters
from billing.usage.services import amending
from kernel.authz import Access, Scope
from kernel.http.endpoint import Endpoint
from kernel.tenancy import current_tenant


class Voided(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a void."""

    source: str
    id: str
    reason: str


class Corrected(Voided, forbid_unknown_fields=True):
    """The body of a correction."""

    data: dict[str, Any]


class VoidSerializer(serializers.Serializer[Any]):
    """Which event, and why."""

    source = serializers.CharField()  # type: ignore[assignment]  # CloudEvents' own name
    id = serializers.CharField()
    reason = serializers.CharField(max_length=amending.LONGEST_REASON)


class CorrectionSerializer(VoidSerializer):
    """Which event, its data from now on, and why."""

    data = serializers.DictField()  # type: ignore[assignment]  # CloudEvents' own name


class Voids(Endpoint):
    """Voids of events."""

    access: ClassVar = {"POST": Access(permissions.EVENTS_AMEND.name, Scope.TENANT)}

    @extend_schema(request=VoidSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        """Let an event count for nothing from now on, in every meter and quota.

        What was sent stays listed, with the reason; the audit log has who and why.
        """
        body = parameters.body(Voided, request.data)
        amending.void(
            tenant_id=current_tenant(), source=body.source, event_id=body.id, reason=body.reason
        )
        return Response(status=204)


class Corrections(Endpoint):
    """Corrections of events."""

    access: ClassVar = {"POST": Access(permissions.EVENTS_AMEND.name, Scope.TENANT)}

    @extend_schema(request=CorrectionSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        """Let an event count with other data from now on; the newest correction or void holds."""
        body = parameters.body(Corrected, request.data)
        amending.correct(
            tenant_id=current_tenant(),
            source=body.source,
            event_id=body.id,
            data=body.data,
            reason=body.reason,
        )
        return Response(status=204)
