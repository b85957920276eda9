"""Keys of the caller's tenant: ``/api/v1/keys…``."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import permissions, queries
from accounts.api.key_shapes import (
    IssuedKeySerializer,
    KeySerializer,
    NewKeyInput,
    RotationInput,
    grace,
    new_key,
    tenant_key,
)
from accounts.models import ApiKey
from accounts.models.keys import KEY_PREFIX
from accounts.queries.keys import STATUSES
from accounts.services import keys
from kernel import ids
from kernel.authz import Access, Scope
from kernel.gate import projection
from kernel.http.endpoint import Endpoint
from kernel.http.inputs import ReasonInput, body, identifier
from kernel.http.pagination import select, window
from kernel.http.schema import PAGE, page_of

PAGE_OF_KEYS = page_of("KeyPage", KeySerializer)
STATUS = OpenApiParameter("status", str, enum=STATUSES)


class Keys(Endpoint):
    """The tenant's keys."""

    access: ClassVar = {
        "GET": Access(permissions.KEYS_READ.name, Scope.TENANT),
        "POST": Access(permissions.KEYS_CREATE.name, Scope.TENANT, secret=True),
    }

    @extend_schema(operation_id="keys_list", parameters=[*PAGE, STATUS], responses=PAGE_OF_KEYS)
    def get(self, request: Request) -> Response:
        """List the tenant's keys, newest first."""
        return listed(request)

    @extend_schema(
        operation_id="keys_create", request=NewKeyInput, responses={201: IssuedKeySerializer}
    )
    def post(self, request: Request) -> Response:
        """Issue a key, with permissions that the caller has. It is shown this once."""
        return issued(request)


class OneKey(Endpoint):
    """One key of the tenant."""

    access: ClassVar = {"GET": Access(permissions.KEYS_READ.name, Scope.TENANT)}

    @extend_schema(operation_id="keys_read", responses=KeySerializer)
    def get(self, request: Request, key: str) -> Response:
        """Read a key's facts."""
        return Response(shown([queries.keys.by_id(key_id(key))])[0])


class Revocation(Endpoint):
    """Revoking a key of the tenant."""

    access: ClassVar = {"POST": Access(permissions.KEYS_REVOKE.name, Scope.TENANT)}

    @extend_schema(operation_id="keys_revoke", request=ReasonInput, responses=KeySerializer)
    def post(self, request: Request, key: str) -> Response:
        """Revoke a key for good: it is refused from the next request on."""
        return revoked(request, key)


class Rotation(Endpoint):
    """Rotating a key of the tenant."""

    access: ClassVar = {"POST": Access(permissions.KEYS_ROTATE.name, Scope.TENANT, secret=True)}

    @extend_schema(
        operation_id="keys_rotate", request=RotationInput, responses={201: IssuedKeySerializer}
    )
    def post(self, request: Request, key: str) -> Response:
        """Replace a key by one with another secret, which is shown this once.

        The successor has the key's permissions, networks and limits and goes on with its counts.
        """
        return rotated(request, key)


def key_id(text: str) -> UUID:
    """Read a key's id out of a path.

    Raises:
        kernel.errors.NotFound: it is none.
    """
    return identifier(KEY_PREFIX, text, "There is no such key.", code="key_not_found")


def listed(request: Request) -> Response:
    """Answer with a page of the keys of the tenant of the context."""
    query = request.query_params
    found, following = window(queries.keys.listed(status=query.get("status")), query)
    return Response({"items": select(shown(found), query), "next": following})


def issued(request: Request) -> Response:
    """Issue a key of the tenant of the context as the body asks, and show it."""
    return shown_once(keys.create(new_key(body(request, NewKeyInput))))


def rotated(request: Request, key: str) -> Response:
    """Rotate a key of the tenant of the context as the body asks, and show its successor."""
    fields = body(request, RotationInput)
    made = keys.rotate(key_id(key), grace=grace(fields), reason=fields["reason"])
    used = projection.last_used([made.key.id])
    return shown_once(made, used.get(made.key.id))


def shown_once(made: keys.IssuedKey, last_used: datetime | None = None) -> Response:
    """Answer with a new key, the key itself included."""
    tenant = ids.encode(ids.TENANT, made.key.tenant_id)
    facts = tenant_key(made.key, tenant, timezone.now(), last_used)
    return Response({**facts, "key": made.text}, 201)


def revoked(request: Request, key: str) -> Response:
    """Revoke a key of the tenant of the context."""
    reason = body(request, ReasonInput)["reason"]
    return Response(shown([keys.revoke(key_id(key), reason=reason)])[0])


def shown(found: list[ApiKey]) -> list[dict[str, Any]]:
    """Show keys with one look at when each was used last."""
    now = timezone.now()
    used = projection.last_used([key.id for key in found]) if found else {}
    return [
        tenant_key(key, ids.encode(ids.TENANT, key.tenant_id), now, used.get(key.id))
        for key in found
    ]
