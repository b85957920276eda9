"""The operator's routes for keys: those of any tenant, and its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import permissions, queries
from accounts.api.key_shapes import (
    CredentialSerializer,
    IssuedKeySerializer,
    IssuedPlatformKeySerializer,
    KeySerializer,
    NewKeyInput,
    NewPlatformKeyInput,
    RotationInput,
    grace,
    new_key,
    platform_key,
)
from accounts.api.keys import PAGE_OF_KEYS, STATUS, issued, key_id, listed, revoked, rotated
from accounts.models import PlatformKey
from accounts.services import platform_keys
from kernel.authz import Access, Scope
from kernel.http.endpoint import Endpoint
from kernel.http.inputs import ReasonInput, body, tenant_id
from kernel.http.pagination import page
from kernel.http.schema import PAGE, page_of
from kernel.tenancy import tenant_context
from tenants import queries as tenants


class TenantKeys(Endpoint):
    """The keys of one tenant, for the operator."""

    access: ClassVar = {
        "GET": Access(permissions.KEYS_READ.name, Scope.OPERATOR),
        "POST": Access(permissions.KEYS_CREATE.name, Scope.OPERATOR, secret=True),
    }

    @extend_schema(
        operation_id="admin_tenant_keys_list", parameters=[*PAGE, STATUS], responses=PAGE_OF_KEYS
    )
    def get(self, request: Request, tenant: str) -> Response:
        """List a tenant's keys, newest first."""
        with within(tenant):
            return listed(request)

    @extend_schema(
        operation_id="admin_tenant_keys_create",
        request=NewKeyInput,
        responses={201: IssuedKeySerializer},
    )
    def post(self, request: Request, tenant: str) -> Response:
        """Issue a key of a tenant. It is shown this once."""
        with within(tenant):
            return issued(request)


class TenantKeyRevocation(Endpoint):
    """Revoking a key of a tenant, for the operator."""

    access: ClassVar = {"POST": Access(permissions.KEYS_REVOKE.name, Scope.OPERATOR)}

    @extend_schema(
        operation_id="admin_tenant_keys_revoke", request=ReasonInput, responses=KeySerializer
    )
    def post(self, request: Request, tenant: str, key: str) -> Response:
        """Revoke a tenant's key for good: it is refused from the next request on."""
        with within(tenant):
            return revoked(request, key)


class TenantKeyRotation(Endpoint):
    """Rotating a key of a tenant, for the operator."""

    access: ClassVar = {"POST": Access(permissions.KEYS_ROTATE.name, Scope.OPERATOR, secret=True)}

    @extend_schema(
        operation_id="admin_tenant_keys_rotate",
        request=RotationInput,
        responses={201: IssuedKeySerializer},
    )
    def post(self, request: Request, tenant: str, key: str) -> Response:
        """Replace a tenant's key by one with another secret, which is shown this once."""
        with within(tenant):
            return rotated(request, key)


class PlatformKeys(Endpoint):
    """The operator's own keys."""

    access: ClassVar = {
        "GET": Access(permissions.PLATFORM_KEYS_READ.name, Scope.OPERATOR),
        "POST": Access(permissions.PLATFORM_KEYS_CREATE.name, Scope.OPERATOR, secret=True),
    }

    @extend_schema(
        operation_id="admin_platform_keys_list",
        parameters=PAGE,
        responses=page_of("PlatformKeyPage", CredentialSerializer),
    )
    def get(self, request: Request) -> Response:
        """List platform keys, newest first."""
        now = timezone.now()

        def render(key: PlatformKey) -> dict[str, Any]:
            return platform_key(key, now)

        return Response(page(queries.platform_keys.listed(), request.query_params, render))

    @extend_schema(
        operation_id="admin_platform_keys_create",
        request=NewPlatformKeyInput,
        responses={201: IssuedPlatformKeySerializer},
    )
    def post(self, request: Request) -> Response:
        """Issue a platform key, with permissions that the caller has. It is shown this once."""
        made = platform_keys.create(new_key(body(request, NewPlatformKeyInput)))
        return Response({**platform_key(made.key, timezone.now()), "key": made.text}, 201)


class PlatformKeyRevocation(Endpoint):
    """Revoking a platform key."""

    access: ClassVar = {"POST": Access(permissions.PLATFORM_KEYS_REVOKE.name, Scope.OPERATOR)}

    @extend_schema(
        operation_id="admin_platform_keys_revoke",
        request=ReasonInput,
        responses=CredentialSerializer,
    )
    def post(self, request: Request, key: str) -> Response:
        """Revoke a platform key for good: it is refused from the next request on."""
        reason = body(request, ReasonInput)["reason"]
        return Response(
            platform_key(platform_keys.revoke(key_id(key), reason=reason), timezone.now())
        )


class PlatformKeyRotation(Endpoint):
    """Rotating a platform key."""

    access: ClassVar = {
        "POST": Access(permissions.PLATFORM_KEYS_ROTATE.name, Scope.OPERATOR, secret=True)
    }

    @extend_schema(
        operation_id="admin_platform_keys_rotate",
        request=RotationInput,
        responses={201: IssuedPlatformKeySerializer},
    )
    def post(self, request: Request, key: str) -> Response:
        """Replace a platform key by one with another secret, which is shown this once."""
        fields = body(request, RotationInput)
        made = platform_keys.rotate(key_id(key), grace=grace(fields), reason=fields["reason"])
        return Response({**platform_key(made.key, timezone.now()), "key": made.text}, 201)


@contextmanager
def within(tenant: str) -> Iterator[None]:
    """Work for the tenant that a path names.

    Raises:
        kernel.errors.NotFound: no such tenant.
    """
    found = tenants.by_id(tenant_id(tenant))
    with tenant_context(found.id):
        yield
