"""Features of the catalogue."""

from typing import Any, ClassVar, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing import permissions
from billing.api.shapes import FeatureSerializer
from billing.catalog.models import Feature
from billing.catalog.models.features import FEATURE_PREFIX
from billing.catalog.queries import feature_by_key, live_features
from billing.usage.api import parameters
from kernel.authz import Access, Scope
from kernel.http.endpoint import Endpoint
from kernel.ids import encode

ORDERS: Final = {"id": "id", "key": "key", "name": "name", "createdAt": "created_at",
                 "updatedAt": "updated_at"}  # fmt: skip
_MOST_PAGES: Final = 1_000_000
_READ: Final = Access(permissions.FEATURES_READ.name, Scope.ANY_TENANT)


class Features(Endpoint):
    """All features."""

    access: ClassVar = {"GET": _READ}

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


class OneFeature(Endpoint):
    """One feature, by id (``ftr_…``) or key."""

    access: ClassVar = {"GET": _READ}

    @extend_schema(responses=FeatureSerializer)
    def get(self, request: Request, feature: str) -> Response:
        """Read a feature."""
        return Response(shown(feature_by_key(feature)))


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
    if feature.archived_at is not None:
        body["archivedAt"] = feature.archived_at
    return body
