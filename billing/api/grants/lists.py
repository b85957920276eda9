"""Entitlements and grants of all customers that the caller may see."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import models
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.grants import shapes, shown
from billing.api.grants.entitlements import PAGES
from billing.api.grants.grants import ORDERS as GRANT_ORDERS
from billing.api.grants.places import MANAGE, READ, Slice, clock
from billing.catalog.models.features import FEATURE_PREFIX
from billing.entitlements.models import Entitlement, EntitlementType, Grant
from billing.entitlements.models.entitlements import ENTITLEMENT_PREFIX
from billing.entitlements.models.grants import GRANT_PREFIX
from billing.entitlements.queries.listing import of_rows
from billing.entitlements.queries.streams import GRANTS
from billing.entitlements.services import grants as services
from billing.subscriptions.queries.owners import owner_of
from billing.usage.api import parameters
from billing.usage.api.reach import reach
from billing.usage.queries import customers
from kernel.authz import current_principal
from kernel.errors import NotFound
from kernel.http.endpoint import Endpoint
from kernel.ids import InvalidIdError, decode
from tenants.models import Tenant

ENTITLEMENT_ORDERS: Final = {"createdAt": "created_at", "updatedAt": "updated_at"}
M = TypeVar("M", Entitlement, Grant)
_UTC: Final = ZoneInfo("UTC")
_FEATURE: Final = OpenApiParameter("feature", str, many=True, description="Keys or ids.")
_LIMITS: Final = [OpenApiParameter("offset", int), OpenApiParameter("limit", int)]
_WHOSE: Final = {
    1: OpenApiParameter("subject", str, many=True),
    2: OpenApiParameter("customer", str, many=True, description="Keys or ids."),
}
_FILTERS: Final = [
    _FEATURE,
    OpenApiParameter("entitlementType", str, many=True, enum=EntitlementType.values),
    OpenApiParameter("excludeInactive", bool, description="None that is listed is inactive."),
    OpenApiParameter("orderBy", str, enum=list(ENTITLEMENT_ORDERS)),
    *PAGES,
    *_LIMITS,
]


class AllEntitlements(Endpoint):
    """Entitlements of customers' own, in version 1: by subject."""

    access: ClassVar = {"GET": READ}

    @extend_schema(
        parameters=[_WHOSE[1], *_FILTERS], responses=shapes.EntitlementSerializer(many=True)
    )
    def get(self, request: Request) -> Response:
        """List entitlements: an array, or with `page` an object with totalCount and items.

        Those that plans give are listed below their customer.
        """
        return _entitlements(request, request.query_params.getlist("subject"), owner_of, v1=True)


class AllEntitlementsV2(Endpoint):
    """Entitlements of customers' own."""

    access: ClassVar = {"GET": READ}

    @extend_schema(
        parameters=[
            OpenApiParameter("customerKeys", str, many=True),
            OpenApiParameter("customerIds", str, many=True),
            *_FILTERS,
        ],
        responses=shapes.EntitlementPageSerializer,
    )
    def get(self, request: Request) -> Response:
        """List entitlements in numbered pages. Those that plans give are below their customer."""
        query = request.query_params
        named = [*query.getlist("customerKeys"), *query.getlist("customerIds")]
        return _entitlements(request, named, customers.find, v1=False)


class AnyEntitlement(Endpoint):
    """One entitlement of a customer's own, by its id (``ent_…``); version 1."""

    access: ClassVar = {"GET": READ}

    @extend_schema(responses=shapes.EntitlementSerializer)
    def get(self, request: Request, entitlement: str) -> Response:
        """Read an entitlement, with the key of its customer as its subject."""
        return Response(_one(entitlement, v1=True))


class AnyEntitlementV2(Endpoint):
    """One entitlement of a customer's own, by its id (``ent_…``)."""

    access: ClassVar = {"GET": READ}

    @extend_schema(responses=shapes.EntitlementSerializer)
    def get(self, request: Request, entitlement: str) -> Response:
        """Read an entitlement."""
        return Response(_one(entitlement, v1=False))


class AllGrants(Endpoint):
    """Grants, in version 1: by subject."""

    access: ClassVar = {"GET": READ}

    @extend_schema(
        parameters=[
            _WHOSE[1],
            _FEATURE,
            OpenApiParameter("includeDeleted", bool),
            OpenApiParameter("orderBy", str, enum=list(GRANT_ORDERS)),
            *PAGES,
            *_LIMITS,
        ],
        responses=shapes.GrantSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List grants: an array, or with `page` an object with totalCount and items."""
        return _grants(request, request.query_params.getlist("subject"), owner_of, v1=True)


class AllGrantsV2(Endpoint):
    """Grants of all customers."""

    access: ClassVar = {"GET": READ}

    @extend_schema(
        parameters=[
            _WHOSE[2],
            _FEATURE,
            OpenApiParameter("includeDeleted", bool),
            OpenApiParameter("orderBy", str, enum=list(GRANT_ORDERS)),
            *PAGES,
            *_LIMITS,
        ],
        responses=shapes.GrantPageSerializer,
    )
    def get(self, request: Request) -> Response:
        """List grants in numbered pages."""
        return _grants(request, request.query_params.getlist("customer"), customers.find, v1=False)


class OneGrant(Endpoint):
    """One grant, by its id (``grt_…``)."""

    access: ClassVar = {"DELETE": MANAGE}

    @extend_schema(
        parameters=[OpenApiParameter("at", str, description="A later instant. Default: now.")],
        responses={204: None},
    )
    def delete(self, request: Request, grant: str) -> Response:
        """Void a grant: what is left of it cannot be used any more. What it covered stays covered.

        What each usage period issues by itself is no grant that can be voided: override the
        entitlement.
        """
        try:
            id_ = decode(GRANT_PREFIX, grant)
        except InvalidIdError as error:
            raise NotFound("There is no such grant.", code="grant_not_found") from error
        named = current_principal().tenant_id
        found = GRANTS.read("id = $1::uuid AND deleted_at IS NULL", [id_])
        if not found or named not in {None, found[0].tenant_id}:
            raise NotFound("There is no such grant.", code="grant_not_found")
        services.void(found[0].tenant_id, id_, parameters.time(request.query_params, "at"))
        return Response(status=204)


def _entitlements(request: Request, named: Sequence[str], find: Any, *, v1: bool) -> Response:
    query, now = request.query_params, clock()
    with reach():
        rows = _chosen(Entitlement.objects.filter(deleted_at=None), request, named, find)
        types = query.getlist("entitlementType")
        if types:
            rows = rows.filter(type__in=types)
        total, cut, page = _page(rows, request, ENTITLEMENT_ORDERS)
        items = [
            shown.entitlement(one, now, one.customer_key if v1 else None) for one in of_rows(page)
        ]
    return Response(items if v1 and not cut.numbered else cut.paged(total, items))


def _grants(request: Request, named: Sequence[str], find: Any, *, v1: bool) -> Response:
    now = clock()
    with reach():
        rows = _chosen(Grant.objects.all(), request, named, find)
        if not parameters.flag(request.query_params, "includeDeleted"):
            rows = rows.filter(deleted_at=None, voided_at=None)
        total, cut, page = _page(rows, request, GRANT_ORDERS)
        zones = _zones({row.tenant_id for row in page})
        items = [
            shown.grant(
                row,
                shown.recurrence_of(row, _UTC if row.feature.plan_limit else zones[row.tenant_id]),
                now,
                v1=v1,
            )
            for row in page
        ]
    return Response(items if v1 and not cut.numbered else cut.paged(total, items))


def _chosen(
    rows: models.QuerySet[M], request: Request, named: Sequence[str], find: Any
) -> models.QuerySet[M]:
    """Filter by the customers or subjects that are named, and by features."""
    if named:
        rows = rows.filter(tenant_id__in=[find(one) for one in named])
    features = request.query_params.getlist("feature")
    if features:
        ids = [id_ for id_ in map(_feature_id, features) if id_ is not None]
        rows = rows.filter(models.Q(feature__key__in=features) | models.Q(feature_id__in=ids))
    return rows.select_related("feature")


def _page(
    rows: models.QuerySet[M], request: Request, orders: dict[str, str]
) -> tuple[int, Slice, list[M]]:
    query = request.query_params
    cut = Slice.read(query)
    order = orders[parameters.choice(query, "orderBy", "createdAt", orders)]
    backwards = parameters.choice(query, "order", "ASC", ("ASC", "DESC")) == "DESC"
    ordered = rows.order_by(f"-{order}" if backwards else order, "id")
    return rows.count(), cut, list(ordered[cut.first : cut.first + cut.size])


def _one(entitlement: str, *, v1: bool) -> dict[str, Any]:
    with reach():
        try:
            rows = Entitlement.objects.filter(id=decode(ENTITLEMENT_PREFIX, entitlement))
        except InvalidIdError:
            rows = Entitlement.objects.none()
        found = of_rows(rows.select_related("feature"))
    if not found:
        raise NotFound("There is no such entitlement.", code="entitlement_not_found")
    return shown.entitlement(found[0], clock(), found[0].customer_key if v1 else None)


def _zones(tenants: set[UUID]) -> dict[UUID, ZoneInfo]:
    rows = Tenant.objects.filter(id__in=tenants).values_list("id", "timezone")
    return {id_: ZoneInfo(name) for id_, name in rows}


def _feature_id(text: str) -> UUID | None:
    try:
        return decode(FEATURE_PREFIX, text)
    except InvalidIdError:
        return None
