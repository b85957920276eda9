"""Who the caller is: ``/api/v1/me``."""

from typing import ClassVar

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import permissions
from accounts.models.keys import KEY_PREFIX
from kernel import ids
from kernel.authz import Access, PrincipalKind, Scope, current_principal
from kernel.http.endpoint import Endpoint

_KINDS = [PrincipalKind.TENANT_KEY.value, PrincipalKind.PLATFORM_KEY.value]


class Me(Endpoint):
    """The caller."""

    access: ClassVar = {"GET": Access(permissions.ME_READ.name, Scope.ANY_TENANT)}

    @extend_schema(
        operation_id="me_read",
        responses=inline_serializer(
            "Me",
            {
                "kind": serializers.ChoiceField(_KINDS),
                "id": serializers.CharField(help_text="key_…"),
                "tenant": serializers.CharField(
                    allow_null=True, help_text="ten_…; null: a platform key that names none."
                ),
                "permissions": serializers.ListField(child=serializers.CharField()),
            },
        ),
    )
    def get(self, request: Request) -> Response:
        """Tell who the caller is, for which tenant it acts and what it may do."""
        caller = current_principal()
        return Response(
            {
                "kind": caller.kind.value,
                "id": ids.encode(KEY_PREFIX, caller.id) if caller.id else None,
                "tenant": ids.encode(ids.TENANT, caller.tenant_id) if caller.tenant_id else None,
                "permissions": sorted(caller.permissions),
            }
        )
