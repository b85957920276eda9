"""The feed of events: forward, for consumers that keep a copy."""

from typing import Any, ClassVar, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.usage import permissions
from billing.usage.api import parameters
from billing.usage.api.events import MOST_LISTED, shown
from billing.usage.api.shapes import IngestedSerializer
from billing.usage.queries.feed import follow, newest
from kernel.authz import Access, Scope
from kernel.http.endpoint import Endpoint
from kernel.tenancy import current_tenant

NOW: Final = "now"


class EventsFeedSerializer(serializers.Serializer[Any]):
    """The next events, and the place behind them."""

    items = IngestedSerializer(many=True)
    next = serializers.CharField(help_text="`after` of the next call. There always is one.")


class EventsFeed(Endpoint):
    """Usage events, forward."""

    access: ClassVar = {"GET": Access(permissions.EVENTS_READ.name, Scope.TENANT)}

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "after",
                str,
                description="`next` of the last answer. Absent: from the oldest event that is kept;"
                " `now`: from what is committed now on.",
            ),
            OpenApiParameter("limit", int, description="1 to 1,000, default 100."),
        ],
        responses=EventsFeedSerializer,
    )
    def get(self, request: Request) -> Response:
        """Follow a tenant's events: every one once, in the order in which they became readable.

        Take `next` along each time. No items: nothing is new; ask again later with the same
        patience. An event whose transaction commits late comes late and is never skipped, and
        nobody else's events wait for it. An event of the operator's that finds its tenant later
        comes then. Voids and corrections show in an event as they stand when it is given out.

        410 `feed_moved`: the database was restored, places of before mean nothing. Begin anew.
        """
        query = request.query_params
        limit = parameters.number(query, "limit", MOST_LISTED)
        after = query.get("after")
        if after == NOW:
            return Response({"items": [], "next": newest()})
        page = follow(current_tenant(), after, limit)
        return Response({"items": [shown(event) for event in page.events], "next": page.next})
