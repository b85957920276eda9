"""Meters: defining, listing, changing them."""

from datetime import datetime
from typing import Any, ClassVar

import msgspec
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.usage import permissions
from billing.usage.api import parameters
from billing.usage.api.reach import reach, scope
from billing.usage.api.shapes import MeterChangeSerializer, MeterInputSerializer, MeterSerializer
from billing.usage.models import OPERATOR, Meter
from billing.usage.queries import meters as queries
from billing.usage.services import meters as services
from kernel.authz import Access, Scope
from kernel.errors import Forbidden
from kernel.http.endpoint import Endpoint
from kernel.tenancy import tenant_or_none


class NewMeter(msgspec.Struct, rename="camel", kw_only=True):
    """The body of a creation."""

    slug: str
    aggregation: str
    event_type: str
    value_property: str | None = None
    group_by: dict[str, str] | None = None
    name: str | None = None
    description: str | None = None
    metadata: dict[str, str] | None = None
    event_from: datetime | None = None


class ChangedMeter(msgspec.Struct, rename="camel", kw_only=True):
    """The body of a change; null clears, absent keeps."""

    group_by: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET
    name: str | msgspec.UnsetType | None = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    metadata: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET


class Meters(Endpoint):
    """All meters of a tenant, or the operator's."""

    access: ClassVar = {
        "GET": Access(permissions.METERS_READ.name, Scope.ANY_TENANT),
        "POST": Access(permissions.METERS_WRITE.name, Scope.ANY_TENANT),
    }

    @extend_schema(
        parameters=[
            OpenApiParameter("page", int),
            OpenApiParameter("pageSize", int, description="1 to 1000, default 100."),
            OpenApiParameter("order", str, enum=["ASC", "DESC"]),
            OpenApiParameter("orderBy", str, enum=list(queries.ORDERS)),
            OpenApiParameter("includeDeleted", bool),
        ],
        responses=MeterSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List the meters that count for a tenant: the operator's and its own."""
        query = request.query_params
        with reach():
            found = queries.listed(
                order_by=parameters.choice(query, "orderBy", "key", queries.ORDERS),
                descending=parameters.choice(query, "order", "ASC", ("ASC", "DESC")) == "DESC",
                include_deleted=parameters.flag(query, "includeDeleted"),
                page=parameters.number(query, "page", 1, 1_000_000),
                page_size=parameters.number(query, "pageSize", 100),
            )
            return Response([shown(meter) for meter in found])

    @extend_schema(request=MeterInputSerializer, responses={201: MeterSerializer})
    def post(self, request: Request) -> Response:
        """Define a meter: for all tenants with a platform key, for itself with a tenant key.

        Events that arrived earlier count too.
        """
        new = parameters.body(NewMeter, request.data)
        definition = services.Definition(
            slug=new.slug,
            aggregation=new.aggregation,
            event_type=new.event_type,
            value_property=new.value_property,
            group_by=new.group_by or {},
            name=new.name or "",
            description=new.description or "",
            metadata=new.metadata or {},
            event_from=None if new.event_from is None else parameters.aware(new.event_from),
        )
        with reach():
            return Response(shown(services.create(definition, scope=scope())), status=201)


class OneMeter(Endpoint):
    """One meter, by id or slug."""

    access: ClassVar = {
        "GET": Access(permissions.METERS_READ.name, Scope.ANY_TENANT),
        "PUT": Access(permissions.METERS_WRITE.name, Scope.ANY_TENANT),
        "DELETE": Access(permissions.METERS_WRITE.name, Scope.ANY_TENANT),
    }

    @extend_schema(responses=MeterSerializer)
    def get(self, request: Request, id_or_slug: str) -> Response:
        """Read a meter."""
        with reach():
            return Response(shown(queries.get(id_or_slug)))

    @extend_schema(request=MeterChangeSerializer, responses=MeterSerializer)
    def put(self, request: Request, id_or_slug: str) -> Response:
        """Change name, description, metadata or groups. Absent members stay, null clears.

        New groups are counted back over all earlier events.
        """
        changed = parameters.body(ChangedMeter, request.data)
        empty: dict[str, Any] = {"group_by": {}, "name": "", "description": "", "metadata": {}}
        changes = {
            name: getattr(changed, name) or nothing
            for name, nothing in empty.items()
            if getattr(changed, name) is not msgspec.UNSET
        }
        with reach():
            return Response(shown(services.update(_own(id_or_slug), changes)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, id_or_slug: str) -> Response:
        """Stop a meter; its events stay."""
        with reach():
            services.delete(_own(id_or_slug))
            return Response(status=204)


def _own(id_or_slug: str) -> Meter:
    """Find a meter that the request may change: a tenant changes its own only."""
    meter = queries.get(id_or_slug)
    if meter.scope == OPERATOR and tenant_or_none() is not None:
        raise Forbidden("This meter is the operator's.", code="operator_only")
    return meter


def shown(meter: Meter) -> dict[str, Any]:
    """Render a meter."""
    body: dict[str, Any] = {
        "id": queries.public_id(meter.id),
        "slug": meter.slug,
        "name": meter.name or meter.slug,
        "description": meter.description,
        "aggregation": meter.aggregation,
        "eventType": meter.event_type,
        "groupBy": meter.group_by,
        "metadata": meter.metadata,
        "annotations": {} if meter.ready else {"countingBack": meter.progress},
        "createdAt": meter.created_at,
        "updatedAt": meter.updated_at,
    }
    optional = {
        "eventFrom": meter.event_from,
        "valueProperty": meter.value_property,
        "deletedAt": meter.deleted_at,
    }
    return body | {name: value for name, value in optional.items() if value is not None}
