"""Members of the caller's tenant: ``/api/v1/members…``."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import permissions, queries
from accounts.models import Membership
from accounts.models.members import MAX_NAME, MEMBER_PREFIX
from accounts.models.users import MAX_EMAIL, USER_PREFIX
from accounts.roles import BUILT_IN
from accounts.services import members
from kernel import ids
from kernel.authz import Access, Scope
from kernel.http.endpoint import Endpoint
from kernel.http.inputs import Input, body, identifier
from kernel.http.pagination import page
from kernel.http.schema import PAGE, page_of


class NewMemberInput(Input):
    """A member to be."""

    email = serializers.CharField(max_length=MAX_EMAIL)
    role = serializers.CharField(help_text=f"One of {', '.join(BUILT_IN)}.")
    name = serializers.CharField(required=False, allow_blank=True, default="", max_length=MAX_NAME)


class MemberChangeInput(Input):
    """What changes of a member; what is absent stays."""

    role = serializers.CharField(required=False)
    name = serializers.CharField(required=False, allow_blank=True, max_length=MAX_NAME)


class MemberSerializer(serializers.Serializer[Any]):
    """A person in the tenant."""

    id = serializers.CharField(help_text="mem_…")
    user = serializers.CharField(help_text="usr_…")
    email = serializers.CharField()
    name = serializers.CharField()
    role = serializers.ChoiceField(list(BUILT_IN))
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class Members(Endpoint):
    """The tenant's members."""

    access: ClassVar = {
        "GET": Access(permissions.MEMBERS_READ.name, Scope.TENANT),
        "POST": Access(permissions.MEMBERS_CREATE.name, Scope.TENANT),
    }

    @extend_schema(
        operation_id="members_list",
        parameters=PAGE,
        responses=page_of("MemberPage", MemberSerializer),
    )
    def get(self, request: Request) -> Response:
        """List members, newest first."""
        return Response(page(queries.members.listed(), request.query_params, shown))

    @extend_schema(
        operation_id="members_create", request=NewMemberInput, responses={201: MemberSerializer}
    )
    def post(self, request: Request) -> Response:
        """Make the person of an e-mail address a member, with a role within the caller's own."""
        return Response(shown(members.add(**body(request, NewMemberInput))), 201)


class OneMember(Endpoint):
    """One member of the tenant."""

    access: ClassVar = {
        "GET": Access(permissions.MEMBERS_READ.name, Scope.TENANT),
        "PATCH": Access(permissions.MEMBERS_UPDATE.name, Scope.TENANT),
        "DELETE": Access(permissions.MEMBERS_DELETE.name, Scope.TENANT),
    }

    @extend_schema(operation_id="members_read", responses=MemberSerializer)
    def get(self, request: Request, member: str) -> Response:
        """Read a member."""
        return Response(shown(queries.members.by_id(member_id(member))))

    @extend_schema(
        operation_id="members_update", request=MemberChangeInput, responses=MemberSerializer
    )
    def patch(self, request: Request, member: str) -> Response:
        """Change a member's role or name. The last owner stays one."""
        changed = members.change(member_id(member), **body(request, MemberChangeInput))
        return Response(shown(changed))

    @extend_schema(operation_id="members_delete", request=None, responses={204: None})
    def delete(self, request: Request, member: str) -> Response:
        """Remove a member from the tenant. The last owner stays."""
        members.remove(member_id(member))
        return Response(status=204)


def member_id(text: str) -> UUID:
    """Read a member's id out of a path.

    Raises:
        kernel.errors.NotFound: it is none.
    """
    return identifier(MEMBER_PREFIX, text, "There is no such member.", code="member_not_found")


def shown(member: Membership) -> dict[str, Any]:
    """Show a member."""
    return {
        "id": member.public_id,
        "user": ids.encode(USER_PREFIX, member.user_id),
        "email": member.email,
        "name": member.name,
        "role": member.role,
        "created_at": member.created_at,
        "updated_at": member.updated_at,
    }
