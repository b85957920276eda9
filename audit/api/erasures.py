"""Erasing a person from the tenant's log."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit.permissions import MANAGE
from audit.services.erasure import LONGEST_SUBJECT, erase_subject
from kernel.authz import Access, Scope
from kernel.http.endpoint import Endpoint
from kernel.http.inputs import Input
from kernel.tenancy import current_tenant


class ErasureSerializer(Input):
    """Whom to erase, and why."""

    subject = serializers.CharField(
        max_length=LONGEST_SUBJECT, help_text="The id that entries name the person by."
    )
    reason = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


class ErasedSerializer(serializers.Serializer[Any]):
    """What was erased."""

    subject = serializers.CharField()
    erased = serializers.IntegerField(help_text="Personal values whose openings are gone.")


class Erasures(Endpoint):
    """Erasures of persons."""

    access = {"POST": Access(MANAGE.name, Scope.TENANT)}

    @extend_schema(
        operation_id="audit_erasures_create",
        request=ErasureSerializer,
        responses={200: ErasedSerializer},
    )
    def post(self, request: Request) -> Response:
        """Erase a person's values from the log; every proof stays valid."""
        given = ErasureSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        subject = given.validated_data["subject"]
        erased = erase_subject(current_tenant(), subject, reason=given.validated_data["reason"])
        return Response({"subject": subject, "erased": erased})
