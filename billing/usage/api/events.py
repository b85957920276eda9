"""Events: reporting them (the hot door) and listing them."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

import orjson
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.usage import permissions
from billing.usage.api import parameters
from billing.usage.api.arriving import Arriving, arriving, attributes
from billing.usage.api.lines import take_lines
from billing.usage.api.reach import reach
from billing.usage.api.searches import FILTERS, searched
from billing.usage.api.shapes import EventSerializer, IngestedSerializer
from billing.usage.cloudevents import LINES, decode, media_type
from billing.usage.queries import customers
from billing.usage.queries.events import Listed, search
from billing.usage.services.grouping import enter, take
from billing.usage.services.ingest import Reporter, ingest
from kernel.authz import Access, PrincipalKind, Scope
from kernel.gate.wire import hot_staff
from kernel.http.admittance import facts_of_request, settle
from kernel.http.hot import HotEndpoint, HotRequest, LeanResponse, json_response
from kernel.http.render import dumps

MOST_LISTED: Final = 100
RECENT: Final = timedelta(hours=72)
LOOKED_TO: Final = "Innkeeper-Looked-To"
"""The header that says to which time a filtered list has looked, where there are older events."""


class Events(HotEndpoint):
    """Usage events."""

    access: ClassVar = {
        "GET": Access(permissions.EVENTS_READ.name, Scope.ANY_TENANT),
        "POST": Access(permissions.EVENTS_WRITE.name, Scope.ANY_TENANT),
    }

    @classmethod
    def serve(cls, request: HotRequest, **kwargs: str) -> LeanResponse:
        """Take a report, or list what was reported."""
        single = arriving(request) if request.method == "POST" else None
        if single is not None:
            return cls._take_single(single)
        principal, connection = cls.admit(request)
        if request.method != "POST":
            return cls.listing(request)
        meta = request.META
        by_operator = principal.kind is not PrincipalKind.TENANT_KEY
        reporter: Reporter = {
            "tenant_id": principal.tenant_id,
            "by_operator": by_operator,
            "key_id": principal.id,
            "connection": hot_staff() if by_operator else connection,
        }
        content_type = meta.get("CONTENT_TYPE", "")
        if media_type(content_type)[0] == LINES:
            return take_lines(request, reporter)
        events = decode(request.body, content_type, attributes(meta))
        if len(events) == 1:
            take(events[0], reporter)
        else:
            ingest(events, **reporter)
        return LeanResponse(status=204, content_type=None)

    @classmethod
    def _take_single(cls, single: Arriving) -> LeanResponse:
        """Take a tenant's single event: admitted and written together with others."""
        facts = facts_of_request()
        started = time.perf_counter_ns()
        arrival = single.arrival
        admission = enter(arrival)
        facts.stage("gate", started)
        settle(arrival.key, cls.access["POST"], admission, facts)
        if single.fault is not None:
            raise single.fault
        if arrival.fault is not None:
            raise arrival.fault
        return LeanResponse(status=204, content_type=None)

    @classmethod
    def listing(cls, request: HotRequest) -> LeanResponse:
        """Answer GET."""
        query = request.GET
        with reach():
            wanted = searched(
                query,
                limit=parameters.number(query, "limit", MOST_LISTED, MOST_LISTED),
                start=datetime.now(UTC) - RECENT,
            )
            found = search(wanted)
            answer = json_response(dumps([shown(event) for event in found.events]))
            if found.looked_to is not None:
                answer.headers[LOOKED_TO] = found.looked_to[0].isoformat()
            return answer

    @extend_schema(
        request={
            "application/cloudevents+json": EventSerializer,
            "application/cloudevents-batch+json": EventSerializer(many=True),
            "application/json": EventSerializer,
        },
        responses={204: None},
    )
    def post(self, request: Request) -> Response:
        """Report usage: one CloudEvent, a batch, or binary mode (`ce-` headers).

        204 means committed: counted once, in every meter, quota and list that is read from now on,
        however often the same (source, id) is sent. A batch is taken whole or not at all; repeats
        in it are no error. Events of unknown types are kept. A missing or malformed value is kept,
        listed with its `validationError`, and not counted. Up to 10,000 events a request.

        As `application/x-ndjson`, each line is an event for itself, as many as you like in a body
        of any size: sound ones are taken by the thousand, and the answer is 200 with a line for
        each, `outcome` new, repeat or invalid. A 5xx leaves some taken; sending all again is safe.
        """
        raise TypeError("served by Events.serve")

    @extend_schema(
        parameters=[
            *FILTERS,
            OpenApiParameter("limit", int, description="1 to 100, default 100."),
        ],
        responses=IngestedSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List events, newest first, with the reason of those that do not count.

        Without `from` those of the last 72 hours, and whatever has exactly the `id`. A list with
        filters looks at the newest 200,000 events of the range (20,000 with `q` or `hasError`);
        where it found fewer than `limit` and there are more, the header `Innkeeper-Looked-To` has
        the time to go on from with `to`.
        """
        raise TypeError("served by Events.serve")


def shown(event: Listed) -> dict[str, Any]:
    """Render a listed event."""
    sent: dict[str, Any] = {
        "id": event.id,
        "source": event.source,
        "specversion": "1.0",
        "type": event.type,
        "subject": event.subject,
        "time": event.time,
        "data": None if event.data is None else orjson.Fragment(event.data),
    }
    if event.dataschema is not None:
        sent["dataschema"] = event.dataschema
    body: dict[str, Any] = {
        "event": sent,
        "ingestedAt": event.ingested_at,
        "storedAt": event.ingested_at,
    }
    if event.tenant_id is not None:
        body["customerId"] = customers.public_id(event.tenant_id)
    if event.fault is not None:
        body["validationError"] = event.fault
    return body
