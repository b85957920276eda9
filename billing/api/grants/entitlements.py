"""Entitlements of a customer or a subject: list, create, read, override, delete, reset."""

from typing import ClassVar, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.grants import shapes, shown
from billing.api.grants.bodies import EntitlementBody, ResetBody
from billing.api.grants.places import MANAGE, READ, AtPlace, Place, Slice, clock
from billing.entitlements.queries.held import find
from billing.entitlements.queries.listing import Listed, of_customer, one_of_customer
from billing.entitlements.services import entitlements as services
from billing.usage.api import parameters

ORDERS: Final = ("createdAt", "updatedAt")
PAGES: Final = [
    OpenApiParameter("page", int),
    OpenApiParameter("pageSize", int, description="1 to 1000, default 100."),
    OpenApiParameter("order", str, enum=["ASC", "DESC"]),
]


class Entitlements(AtPlace):
    """What a customer is entitled to: its own entitlements and those of its plan."""

    access: ClassVar = {"GET": READ, "POST": MANAGE}

    @extend_schema(
        parameters=[
            *PAGES,
            OpenApiParameter("orderBy", str, enum=list(ORDERS)),
            OpenApiParameter("includeDeleted", bool),
        ],
        responses=shapes.EntitlementPageSerializer,
    )
    def get(self, request: Request, **where: str) -> Response:
        """List entitlements: version 2 in numbered pages, version 1 as an array."""
        query, now = request.query_params, clock()
        cut = Slice.read(query)
        order = parameters.choice(query, "orderBy", "createdAt", ORDERS)
        with self.reading(where) as (place, snapshot):
            deleted = parameters.flag(query, "includeDeleted")
            found = of_customer(snapshot, now, deleted=deleted)
        name = "updated_at" if order == "updatedAt" else "created_at"
        backwards = parameters.choice(query, "order", "ASC", ("ASC", "DESC")) == "DESC"
        found.sort(key=lambda one: (getattr(one, name), one.feature_key), reverse=backwards)
        if place.v1:
            return Response([shown.entitlement(one, now, place.subject) for one in found])
        items = [shown.entitlement(one, now) for one in cut.of(found)]
        return Response(cut.paged(len(found), items))

    @extend_schema(
        request=shapes.NewEntitlementSerializer, responses={201: shapes.EntitlementSerializer}
    )
    def post(self, request: Request, **where: str) -> Response:
        """Give a customer an entitlement, with its first grants.

        Where it has one of the feature already, also through its plan, 409 `entitlement_exists`
        names it in extensions.conflictingEntityId: override that.
        """
        given = parameters.body(EntitlementBody, request.data)
        place = self.place(where)
        new = given.read(rolls_over=not place.v1)
        return _written(services.create(place.tenant_id, new), place)


class OneEntitlement(AtPlace):
    """One entitlement, by its id (``ent_…``) or the key of its feature."""

    access: ClassVar = {"GET": READ, "DELETE": MANAGE}

    @extend_schema(responses=shapes.EntitlementSerializer)
    def get(self, request: Request, feature: str, **where: str) -> Response:
        """Read an entitlement."""
        now = clock()
        with self.reading(where) as (place, snapshot):
            found = one_of_customer(snapshot, find(snapshot, feature, now).id, now)
        return Response(shown.entitlement(found, now, place.subject))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, feature: str, **where: str) -> Response:
        """End an entitlement of the customer's own, with its grants. The plan's holds from then on.

        The plan's own cannot be deleted: 409 `entitlement_of_plan`.
        """
        services.delete(self.place(where).tenant_id, feature)
        return Response(status=204)


class Override(AtPlace):
    """An entitlement in the place of another."""

    access: ClassVar = {"PUT": MANAGE}

    @extend_schema(
        request=shapes.NewEntitlementSerializer, responses={201: shapes.EntitlementSerializer}
    )
    def put(self, request: Request, feature: str, **where: str) -> Response:
        """Put an entitlement in the place of one of the same feature. The grants of that end."""
        given = parameters.body(EntitlementBody, request.data)
        place = self.place(where)
        new = given.read(rolls_over=not place.v1)
        return _written(services.override(place.tenant_id, feature, new), place)


class Reset(AtPlace):
    """The end of a usage period by hand."""

    access: ClassVar = {"POST": MANAGE}

    @extend_schema(request=shapes.ResetSerializer, responses={204: None})
    def post(self, request: Request, feature: str, **where: str) -> Response:
        """End the running usage period, now or at an instant of it that has passed.

        Grants roll over, what a period issues by itself is there again. Use that nothing covered is
        dropped, or counts on in the new period with preserveOverage. Without retainAnchor later
        periods are counted from the reset.
        """
        given = parameters.body(ResetBody, request.data or {})
        at = given.effective_at
        services.reset(
            self.place(where).tenant_id,
            feature,
            at=None if at is None else parameters.aware(at),
            retain_anchor=given.retain_anchor,
            preserve_overage=given.preserve_overage,
        )
        return Response(status=204)


def _written(listed: Listed, place: Place) -> Response:
    return Response(shown.entitlement(listed, clock(), place.subject), status=201)
