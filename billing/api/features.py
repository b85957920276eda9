"""Features of the catalogue."""

from typing import Any, ClassVar, Final

import msgspec
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing import permissions
from billing.api.shapes import FeatureInputSerializer, FeatureSerializer
from billing.catalog.models import Feature
from billing.catalog.models.features import FEATURE_PREFIX
from billing.catalog.queries import feature_by_key, live_features
from billing.catalog.services import features as services
from billing.usage.api import parameters
from kernel.authz import Access, Scope
from kernel.errors import Invalid
from kernel.http.endpoint import Endpoint
from kernel.ids import encode

ORDERS: Final = {"id": "id", "key": "key", "name": "name", "createdAt": "created_at",
                 "updatedAt": "updated_at"}  # fmt: skip
_MOST_PAGES: Final = 1_000_000
_READ: Final = Access(permissions.FEATURES_READ.name, Scope.ANY_TENANT)
_WRITE: Final = Access(permissions.FEATURES_WRITE.name, Scope.OPERATOR)


class GivenFeature(msgspec.Struct, rename="camel", kw_only=True):
    """A feature as OpenMeter's clients send it; what else they send is of no use here."""

    key: str
    name: str
    metadata: dict[str, str] | None = None
    meter_slug: str | None = None
    meter_group_by_filters: dict[str, str] | None = None
    advanced_meter_group_by_filters: dict[str, Any] | None = None

    def feature(self) -> services.NewFeature:
        """Give what the service takes.

        Raises:
            kernel.errors.Invalid: both kinds of filters.
        """
        simple, advanced = self.meter_group_by_filters, self.advanced_meter_group_by_filters
        if simple and advanced:
            raise Invalid(
                "Use either meterGroupByFilters or advancedMeterGroupByFilters.",
                code="invalid_feature",
                pointer="/meterGroupByFilters",
            )
        equal = {name: {"$eq": value} for name, value in (simple or {}).items()}
        return services.NewFeature(
            key=self.key,
            name=self.name,
            meter=self.meter_slug or "",
            group_filters=advanced or equal,
            metadata=self.metadata or {},
        )


class Features(Endpoint):
    """All features."""

    access: ClassVar = {"GET": _READ, "POST": _WRITE}

    @extend_schema(
        parameters=[
            OpenApiParameter("meterSlug", str, many=True),
            OpenApiParameter("includeArchived", bool),
            OpenApiParameter("page", int, description="With it the answer is an object."),
            OpenApiParameter("pageSize", int, description="1 to 1000, default 100."),
            OpenApiParameter("order", str, enum=["ASC", "DESC"]),
            OpenApiParameter("orderBy", str, enum=list(ORDERS)),
        ],
        responses=FeatureSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List features: an array, or with `page` an object with totalCount and items."""
        query = request.query_params
        order = ORDERS[parameters.choice(query, "orderBy", "key", ORDERS)]
        descending = parameters.choice(query, "order", "ASC", ("ASC", "DESC")) == "DESC"
        rows = live_features(
            query.getlist("meterSlug"), archived=parameters.flag(query, "includeArchived")
        ).order_by(f"-{order}" if descending else order)
        if "page" not in query:
            return Response([shown(feature) for feature in rows])
        page = parameters.number(query, "page", 1, _MOST_PAGES)
        size = parameters.number(query, "pageSize", 100)
        items = [shown(feature) for feature in rows[(page - 1) * size : page * size]]
        counts = {"totalCount": rows.count(), "page": page, "pageSize": size}
        return Response({**counts, "items": items})

    @extend_schema(request=FeatureInputSerializer, responses={201: FeatureSerializer})
    def post(self, request: Request) -> Response:
        """Add a feature: metered with a meter of the operator, boolean without.

        `meterGroupByFilters` let only some of the meter's groups count. Such a feature is counted
        when it is asked about, like OpenMeter does: it has no quota to consume from exactly.
        """
        given = parameters.body(GivenFeature, request.data)
        return Response(shown(services.create(given.feature())), status=201)


class OneFeature(Endpoint):
    """One feature, by id (``ftr_…``) or key."""

    access: ClassVar = {"GET": _READ, "DELETE": _WRITE}

    @extend_schema(responses=FeatureSerializer)
    def get(self, request: Request, feature: str) -> Response:
        """Read a feature."""
        return Response(shown(feature_by_key(feature)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, feature: str) -> Response:
        """Archive a feature: nobody has it from now on. Limits of the plans stay."""
        services.archive(feature_by_key(feature))
        return Response(status=204)


def shown(feature: Feature) -> dict[str, Any]:
    """Write a feature as OpenMeter does, with its kind, unit and options beside."""
    body: dict[str, Any] = {
        "id": encode(FEATURE_PREFIX, feature.id),
        "key": feature.key,
        "name": feature.name,
        "description": feature.description,
        "kind": feature.kind,
        "unit": feature.unit,
        "options": feature.options,
        "metadata": feature.metadata,
        "createdAt": feature.created_at,
        "updatedAt": feature.updated_at,
    }
    if feature.meter:
        body["meterSlug"] = feature.meter
    if feature.group_filters:
        body |= _filters(feature.group_filters)
    if feature.archived_at is not None:
        body["archivedAt"] = feature.archived_at
    return body


def _filters(stored: dict[str, Any]) -> dict[str, Any]:
    """Write filters as they can be said: as plain values where all of them are equalities."""
    if all(set(one) == {"$eq"} for one in stored.values()):
        return {"meterGroupByFilters": {name: one["$eq"] for name, one in stored.items()}}
    return {"advancedMeterGroupByFilters": stored}
