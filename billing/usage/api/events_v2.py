"""Listing events with filter objects and a cursor: OpenMeter's second edition."""

import base64
import binascii
import json
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final
from uuid import UUID

from django.http import QueryDict
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.usage import filters, permissions
from billing.usage.api import parameters
from billing.usage.api.events import MOST_LISTED, RECENT, shown
from billing.usage.api.reach import reach
from billing.usage.api.shapes import IngestedPageSerializer
from billing.usage.filters import Condition
from billing.usage.queries import customers
from billing.usage.queries.events import TEXTS, TIMES, Place, Search, search
from kernel.authz import Access, Scope
from kernel.errors import Invalid
from kernel.http.endpoint import Endpoint
from kernel.tenancy import tenant_or_none

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)
_CUSTOMER: Final = "customerId"
_NAMES: Final = (*TEXTS, *TIMES, _CUSTOMER)


class EventsV2(Endpoint):
    """Usage events by filters."""

    access: ClassVar = {"GET": Access(permissions.EVENTS_READ.name, Scope.ANY_TENANT)}

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "filter", str, description=f"JSON of operators, by {', '.join(_NAMES)}."
            ),
            OpenApiParameter("cursor", str, description="From nextCursor."),
            OpenApiParameter("limit", int, description="1 to 100, default 100."),
        ],
        responses=IngestedPageSerializer,
    )
    def get(self, request: Request) -> Response:
        """List events, newest first, page by page, with the reason of those that do not count.

        The operator without a tenant lists the last 72 hours, unless it filters by a time.
        """
        query = request.query_params
        limit = parameters.number(query, "limit", MOST_LISTED, MOST_LISTED)
        conditions = _conditions(query)
        with reach():
            wanted = Search(
                limit=limit + 1,
                start=_start(conditions),
                tenants=_customers(conditions.pop(_CUSTOMER, None)),
                conditions=list(conditions.items()),
                before=_place(query.get("cursor")),
            )
            found = search(wanted)
        events = found.events[:limit]
        body: dict[str, Any] = {"items": [shown(event) for event in events]}
        if len(found.events) > limit:
            body["nextCursor"] = _cursor((events[-1].time, events[-1].seq))
        elif found.looked_to is not None:
            body["nextCursor"] = _cursor(found.looked_to)
        return Response(body)


def _conditions(query: QueryDict) -> dict[str, Condition]:
    """Read ``filter``: JSON, or a Python dict as the client may write one.

    Raises:
        kernel.errors.Invalid: it is neither, or names something that cannot be filtered by.
    """
    text = query.get("filter")
    if not text:
        return {}
    read = filters.read_advanced(text)
    for name in read:
        if name not in _NAMES:
            raise Invalid(f"There is no filter {name!r}.", code="invalid_filter", pointer="/filter")
    return {
        name: filters.on_times(condition, _time) if name in TIMES else condition
        for name, condition in read.items()
    }


def _time(text: str) -> str:
    """Check a time of a filter.

    Raises:
        kernel.errors.Invalid: it is none.
    """
    found = parameters.time({"filter": text}, "filter")
    return "" if found is None else found.isoformat()


def _start(conditions: dict[str, Condition]) -> datetime | None:
    timed = any(name in conditions for name in TIMES)
    return None if timed or tenant_or_none() is not None else datetime.now(UTC) - RECENT


def _customers(condition: Condition | None) -> list[UUID]:
    """Find the customers that a filter names.

    Raises:
        kernel.errors.Invalid: an operator other than $eq and $in.
        kernel.errors.NotFound: an unknown customer.
    """
    if condition is None:
        return []
    if condition.operator not in ("$eq", "$in"):
        raise Invalid(
            "customerId is filtered by $eq or $in.", code="invalid_filter", pointer="/filter"
        )
    return [customers.find(text) for text in condition.texts]


def _cursor(last: Place) -> str:
    place = json.dumps([(last[0] - _EPOCH) // _TICK, last[1]])
    return base64.urlsafe_b64encode(place.encode()).rstrip(b"=").decode()


def _place(cursor: str | None) -> Place | None:
    """Read a cursor.

    Raises:
        kernel.errors.Invalid: it is none of ours.
    """
    if not cursor:
        return None
    try:
        read = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        time, seq = (int(part) for part in read)
        return _EPOCH + time * _TICK, seq
    except (binascii.Error, ValueError, TypeError, OverflowError):
        message = "The cursor is not one that this list gave."
        raise Invalid(message, pointer="/query/cursor") from None
