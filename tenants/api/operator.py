"""The operator's tenants: ``/api/v1/admin/tenants…``."""

from typing import Any, ClassVar, Protocol
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ports
from kernel.authz import Access, Scope
from kernel.http.endpoint import Endpoint
from kernel.http.inputs import ReasonInput, body, tenant_id
from kernel.http.pagination import select, window
from kernel.http.schema import PAGE, page_of
from tenants import permissions, queries, services
from tenants.api.shapes import NewTenantInput, TenantSerializer, shown
from tenants.models import Status, Tenant


class Transition(Protocol):
    """A service that moves a tenant to another status."""

    def __call__(self, tenant_id: UUID, *, reason: str = "") -> Tenant:
        """Move it."""


class Tenants(Endpoint):
    """All tenants."""

    access: ClassVar = {
        "GET": Access(permissions.TENANTS_READ.name, Scope.OPERATOR),
        "POST": Access(permissions.TENANTS_CREATE.name, Scope.OPERATOR),
    }

    @extend_schema(
        operation_id="admin_tenants_list",
        parameters=[
            *PAGE,
            OpenApiParameter("status", str, enum=Status.values),
            OpenApiParameter("slug", str, description="The tenant of exactly this slug."),
        ],
        responses=page_of("TenantPage", TenantSerializer),
    )
    def get(self, request: Request) -> Response:
        """List tenants, newest first."""
        query = request.query_params
        rows = queries.listed(status=query.get("status"), slug=query.get("slug"))
        tenants, following = window(rows, query)
        return Response({"items": select(listing(tenants), query), "next": following})

    @extend_schema(
        operation_id="admin_tenants_create",
        request=NewTenantInput,
        responses={201: TenantSerializer},
    )
    def post(self, request: Request) -> Response:
        """Create a tenant with its plan, and its owner where one is named."""
        new = services.NewTenant(**body(request, NewTenantInput))
        tenant = services.create(new)
        return Response(shown(tenant, new.plan), 201)


class OneTenant(Endpoint):
    """One tenant."""

    access: ClassVar = {"GET": Access(permissions.TENANTS_READ.name, Scope.OPERATOR)}

    @extend_schema(operation_id="admin_tenants_read", responses=TenantSerializer)
    def get(self, request: Request, tenant: str) -> Response:
        """Read a tenant, closed ones too."""
        return answer(queries.by_id(tenant_id(tenant)))


class Suspension(Endpoint):
    """Suspending a tenant."""

    access: ClassVar = {"POST": Access(permissions.TENANTS_SUSPEND.name, Scope.OPERATOR)}

    @extend_schema(
        operation_id="admin_tenants_suspend", request=ReasonInput, responses=TenantSerializer
    )
    def post(self, request: Request, tenant: str) -> Response:
        """Suspend a tenant: its keys are refused from the next request on."""
        return moved(services.suspend, request, tenant)


class Restoration(Endpoint):
    """Restoring a tenant."""

    access: ClassVar = {"POST": Access(permissions.TENANTS_RESTORE.name, Scope.OPERATOR)}

    @extend_schema(
        operation_id="admin_tenants_restore", request=ReasonInput, responses=TenantSerializer
    )
    def post(self, request: Request, tenant: str) -> Response:
        """Make a suspended or closed tenant active again."""
        return moved(services.restore, request, tenant)


class Closure(Endpoint):
    """Closing a tenant."""

    access: ClassVar = {"POST": Access(permissions.TENANTS_CLOSE.name, Scope.OPERATOR)}

    @extend_schema(
        operation_id="admin_tenants_close", request=ReasonInput, responses=TenantSerializer
    )
    def post(self, request: Request, tenant: str) -> Response:
        """Close a tenant: to its keys it is gone. It can be restored."""
        return moved(services.close, request, tenant)


def moved(move: Transition, request: Request, tenant: str) -> Response:
    """Run a transition with the body's reason and show the tenant."""
    found = move(tenant_id(tenant), reason=body(request, ReasonInput)["reason"])
    return answer(found)


def answer(tenant: Tenant) -> Response:
    """Show one tenant."""
    return Response(shown(tenant, ports.plans().key_of(tenant.id)))


def listing(tenants: list[Tenant]) -> list[dict[str, Any]]:
    """Show tenants with one look at all their plans."""
    plans = ports.plans().keys_of([tenant.id for tenant in tenants])
    return [shown(tenant, plans.get(tenant.id)) for tenant in tenants]
