"""A tenant's own record: ``/api/v1/tenant``."""

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ports
from kernel.authz import Access, Scope
from kernel.http.endpoint import Endpoint
from tenants import permissions, queries
from tenants.api.shapes import TenantSerializer, shown


class OwnTenant(Endpoint):
    """The tenant of the caller."""

    access: ClassVar = {"GET": Access(permissions.TENANT_READ.name, Scope.TENANT)}

    @extend_schema(operation_id="tenant_read", responses=TenantSerializer)
    def get(self, request: Request) -> Response:
        """Read the tenant that the key belongs to, or that a platform key names."""
        tenant = queries.own()
        return Response(shown(tenant, ports.plans().key_of(tenant.id)))
