"""Requests by key."""

from datetime import datetime
from typing import Any, ClassVar, Final

from django.http import QueryDict
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.usage import permissions
from billing.usage.api import parameters
from billing.usage.api.current import PeriodSerializer
from billing.usage.queries.current import Period, running_month
from billing.usage.queries.keys import requests_by_key
from billing.usage.queries.slots import KEY_PREFIX
from kernel import ids
from kernel.authz import Access, Scope
from kernel.errors import Invalid
from kernel.http.endpoint import Endpoint
from kernel.ports import key_names
from kernel.tenancy import current_tenant

MOST_KEYS: Final = 100


class KeyRequestsSerializer(serializers.Serializer[Any]):
    """One key's requests, and their share of all, from 0 to 1."""

    id = serializers.CharField(help_text="key_…")
    name = serializers.CharField(allow_null=True)
    requests = serializers.IntegerField()
    share = serializers.FloatField()


class KeyUsageSerializer(serializers.Serializer[Any]):
    """Requests by key; ``others`` are those of keys that are not listed."""

    period = PeriodSerializer()
    requests = serializers.IntegerField()
    keys = KeyRequestsSerializer(many=True)
    others = serializers.IntegerField()


class KeyUsage(Endpoint):
    """Which of a tenant's keys use it how much."""

    access: ClassVar = {"GET": Access(permissions.USAGE_READ.name, Scope.TENANT)}

    @extend_schema(
        parameters=[
            OpenApiParameter("from", datetime, description="Default: the running month's start."),
            OpenApiParameter("to", datetime, description="Default: the running month's end."),
            OpenApiParameter("limit", int, description="1 to 100 keys, default 50."),
        ],
        responses=KeyUsageSerializer,
    )
    def get(self, request: Request) -> Response:
        """Count admitted requests by key, the busiest first, in whole quarter hours.

        The numbers are the gate's own, which limits and bills: all keys together are `requests`,
        the figure of the meter `api_requests`. Keys that have ended are listed with what they used;
        a key that was rotated and its successors are one, under the id of the first.
        """
        query = request.query_params
        limit = parameters.number(query, "limit", 50, MOST_KEYS)
        tenant_id = current_tenant()
        period = _period(query, running_month(tenant_id))
        found = requests_by_key(tenant_id, period)
        listed, rest = found.keys[:limit], found.keys[limit:]
        names = key_names().names_of([key.key_id for key in listed]) if listed else {}
        return Response(
            {
                "period": {"from": period.start, "to": period.end, "timezone": period.zone},
                "requests": found.total,
                "keys": [
                    {
                        "id": ids.encode(KEY_PREFIX, key.key_id),
                        "name": names.get(key.key_id),
                        "requests": key.requests,
                        "share": round(key.requests / found.total, 4) if found.total else 0,
                    }
                    for key in listed
                ],
                "others": sum(key.requests for key in rest),
            }
        )


def _period(query: QueryDict, month: Period) -> Period:
    """Read the asked range; what is left open is the running month's.

    Raises:
        kernel.errors.Invalid: a bound is malformed, or the range is none.
    """
    start = parameters.time(query, "from") or month.start
    end = parameters.time(query, "to") or month.end
    if start >= end:
        raise Invalid("from must be before to.", pointer="/query/from")
    return Period(start, end, month.zone)
