"""The roles that members can have: ``/api/v1/roles``."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import permissions
from accounts.roles import BUILT_IN
from kernel.authz import Access, Scope
from kernel.http.endpoint import Endpoint


class RoleSerializer(serializers.Serializer[Any]):
    """A named set of permissions."""

    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field of that name
    help = serializers.CharField()
    permissions = serializers.ListField(child=serializers.CharField())
    built_in = serializers.BooleanField()


class Roles(Endpoint):
    """The roles of the tenant."""

    access: ClassVar = {"GET": Access(permissions.ROLES_READ.name, Scope.TENANT)}

    @extend_schema(
        operation_id="roles_list",
        responses=inline_serializer(
            "RolePage",
            {
                "items": RoleSerializer(many=True),
                "next": serializers.CharField(allow_null=True),
            },
        ),
    )
    def get(self, request: Request) -> Response:
        """List all roles, the most powerful first; there is one page."""
        items = [
            {
                "key": role.key,
                "label": role.label,
                "help": role.help,
                "permissions": role.permissions,
                "built_in": True,
            }
            for role in BUILT_IN.values()
        ]
        return Response({"items": items, "next": None})
