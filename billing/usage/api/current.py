"""Usage at a glance."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.usage import permissions
from billing.usage.api.figures import number
from billing.usage.queries.current import current
from billing.usage.queries.meters import public_id
from kernel.authz import Access, Scope
from kernel.http.endpoint import Endpoint


class UsedSerializer(serializers.Serializer[Any]):
    """One meter's figure."""

    id = serializers.CharField()
    slug = serializers.CharField()
    name = serializers.CharField()
    aggregation = serializers.CharField()
    value = serializers.FloatField(allow_null=True)
    valueDecimal = serializers.CharField(allow_null=True)  # noqa: N815 - the contract's name


class PeriodSerializer(serializers.Serializer[Any]):
    """The running month."""

    to = serializers.DateTimeField()
    timezone = serializers.CharField()

    def get_fields(self) -> dict[str, Any]:
        """Add ``from``, which is no Python name."""
        return {"from": serializers.DateTimeField(), **super().get_fields()}


class CurrentSerializer(serializers.Serializer[Any]):
    """The usage of the running month."""

    period = PeriodSerializer()
    meters = UsedSerializer(many=True)


class CurrentUsage(Endpoint):
    """A tenant's usage in the running month."""

    access: ClassVar = {"GET": Access(permissions.USAGE_READ.name, Scope.TENANT)}

    @extend_schema(responses=CurrentSerializer)
    def get(self, request: Request) -> Response:
        """Read each meter's figure in the running month of the tenant's time zone."""
        period, used = current()
        return Response(
            {
                "period": {"from": period.start, "to": period.end, "timezone": period.zone},
                "meters": [
                    {
                        "id": public_id(one.meter.id),
                        "slug": one.meter.slug,
                        "name": one.meter.name or one.meter.slug,
                        "aggregation": one.meter.aggregation,
                        "value": None if one.value is None else number(one.value),
                        "valueDecimal": None if one.value is None else format(one.value, "f"),
                    }
                    for one in used
                ],
            }
        )
