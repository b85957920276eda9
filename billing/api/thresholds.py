"""Thresholds that a tenant's use has crossed."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.entitlements.models import ThresholdCrossing
from billing.entitlements.models.thresholds import CROSSING_PREFIX
from billing.entitlements.queries.thresholds import crossings
from billing.usage import permissions
from billing.usage.api.figures import number
from billing.usage.exact import text_of
from kernel.authz import Access, Scope
from kernel.http.endpoint import Endpoint
from kernel.http.pagination import page
from kernel.http.schema import PAGE, page_of
from kernel.ids import encode


class AllowancePeriodSerializer(serializers.Serializer[Any]):
    """A period of an allowance, [from, to)."""

    to = serializers.DateTimeField()

    def get_fields(self) -> dict[str, Any]:
        """Add ``from``, which is no Python name."""
        return {"from": serializers.DateTimeField(), **super().get_fields()}


class ThresholdSerializer(serializers.Serializer[Any]):
    """A crossed threshold, with amounts as they were when it was told."""

    id = serializers.CharField(help_text="thr_…")
    feature = serializers.CharField()
    threshold = serializers.IntegerField(help_text="Percent of the limit.")
    usage = serializers.FloatField()
    usageDecimal = serializers.CharField()  # noqa: N815 - as in all answers about usage
    limit = serializers.FloatField()
    limitDecimal = serializers.CharField()  # noqa: N815
    period = AllowancePeriodSerializer()
    crossedAt = serializers.DateTimeField()  # noqa: N815
    rearmedAt = serializers.DateTimeField(  # noqa: N815
        required=False, help_text="When a raised limit made it possible to cross it again."
    )


class Thresholds(Endpoint):
    """A tenant's crossed thresholds."""

    access: ClassVar = {"GET": Access(permissions.USAGE_READ.name, Scope.TENANT)}

    @extend_schema(
        operation_id="usage_thresholds_list",
        parameters=[*PAGE, OpenApiParameter("feature", str, description="A feature's key.")],
        responses=page_of("ThresholdPage", ThresholdSerializer),
    )
    def get(self, request: Request) -> Response:
        """List the thresholds that use has crossed, newest first.

        Each is crossed once in a period, and told as the event `usage.threshold_reached`.
        """
        query = request.query_params
        return Response(page(crossings(query.get("feature", "")), query, shown))


def shown(crossing: ThresholdCrossing) -> dict[str, Any]:
    """Write a crossing."""
    body: dict[str, Any] = {
        "id": encode(CROSSING_PREFIX, crossing.id),
        "feature": crossing.feature_key,
        "threshold": crossing.threshold,
    }
    for name, amount in (("usage", crossing.usage), ("limit", crossing.limit)):
        body[name] = number(amount)
        body[f"{name}Decimal"] = text_of(amount)
    body["period"] = {"from": crossing.period_start, "to": crossing.period_end}
    body["crossedAt"] = crossing.crossed_at
    if crossing.rearmed_at is not None:
        body["rearmedAt"] = crossing.rearmed_at
    return body
