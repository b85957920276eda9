"""Use by feature."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.entitlements import shown
from billing.api.shapes import EntitlementValueSerializer
from billing.entitlements.queries.snapshots import snapshot_of
from billing.entitlements.queries.values import EntitlementValue, WindowMissingError, values_now
from billing.entitlements.services import project
from billing.usage import permissions
from kernel.authz import Access, Scope, current_principal
from kernel.http.endpoint import Endpoint
from kernel.tenancy import current_tenant


class FeatureUseSerializer(EntitlementValueSerializer):
    """A metered feature's use in its own period, beside what is allowed."""

    feature = serializers.CharField()
    meter = serializers.CharField()
    usedPercent = serializers.FloatField(  # noqa: N815 - as in all answers about usage
        allow_null=True, help_text="Of what is allowed; null without a limit."
    )


class FeatureUsageSerializer(serializers.Serializer[Any]):
    """The metered features that the tenant has."""

    features = FeatureUseSerializer(many=True)


class FeatureUsage(Endpoint):
    """What a tenant uses of each metered feature."""

    access: ClassVar = {"GET": Access(permissions.USAGE_READ.name, Scope.TENANT)}

    @extend_schema(responses=FeatureUsageSerializer)
    def get(self, request: Request) -> Response:
        """List the use of every metered feature that the tenant has, in its running period.

        Each is the value that decides about the next use (`GET …/entitlements/{feature}/value`),
        with the meter that it counts: used, left, when it is reset, when it runs out at this rate.
        """
        values = _values()
        return Response(
            {
                "features": [
                    {
                        "feature": key,
                        "meter": value.effective.feature.meter,
                        **shown(value),
                        "usedPercent": _percent(value),
                    }
                    for key, value in sorted(values.items())
                    if value.metered is not None
                ]
            }
        )


def _values() -> dict[str, EntitlementValue]:
    tenant_id, now = current_tenant(), datetime.now(UTC)
    snapshot = snapshot_of(current_principal(), tenant_id)
    try:
        return values_now(snapshot, now)
    except WindowMissingError:  # nobody has asked for a whole period
        project(tenant_id)
        return values_now(snapshot, now)


def _percent(value: EntitlementValue) -> float | None:
    metered = value.metered
    if metered is None or not metered.limit:
        return None
    return round(float(metered.used / metered.limit * 100), 2)
