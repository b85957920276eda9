"""Grants of an entitlement, its value below a subject, and its history."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.entitlements import shown as shown_value
from billing.api.grants import shapes, shown
from billing.api.grants.bodies import GrantBody
from billing.api.grants.entitlements import PAGES
from billing.api.grants.places import MANAGE, READ, AtPlace, Slice, clock, zones
from billing.api.shapes import EntitlementValueSerializer
from billing.entitlements.models.projection import issued
from billing.entitlements.queries import burndown
from billing.entitlements.queries.held import find
from billing.entitlements.queries.listing import one_of_customer
from billing.entitlements.queries.snapshots import load
from billing.entitlements.queries.streams import GRANTS, stream_with_grants
from billing.entitlements.queries.used import operators_meter
from billing.entitlements.queries.values import value_at, value_now
from billing.entitlements.services import grants as services
from billing.usage.api import parameters
from billing.usage.queries.question import WindowSize
from billing.usage.queries.zones import is_zone
from kernel.errors import Invalid

ORDERS: Final = {"id": "id", "createdAt": "created_at", "updatedAt": "updated_at"}
_EARLIER: Final = OpenApiParameter("time", datetime, description="Default: now.")


class Grants(AtPlace):
    """The grants of one metered entitlement."""

    access: ClassVar = {"GET": READ, "POST": MANAGE}

    @extend_schema(
        parameters=[
            *PAGES,
            OpenApiParameter("offset", int),
            OpenApiParameter("limit", int),
            OpenApiParameter("orderBy", str, enum=list(ORDERS)),
            OpenApiParameter("includeDeleted", bool, description="Voided ones too."),
        ],
        responses=shapes.GrantPageSerializer,
    )
    def get(self, request: Request, feature: str, **where: str) -> Response:
        """List grants, the one that each usage period issues by itself first.

        Version 2 answers in numbered pages, version 1 with an array.
        """
        query, now = request.query_params, clock()
        cut = Slice.read(query)
        order = ORDERS[parameters.choice(query, "orderBy", "createdAt", ORDERS)]
        backwards = parameters.choice(query, "order", "ASC", ("ASC", "DESC")) == "DESC"
        with self.reading(where) as (place, snapshot):
            held = find(snapshot, feature, now)
            listed = one_of_customer(snapshot, held.id, now)
            live = "true"
            if not parameters.flag(query, "includeDeleted"):
                live = "deleted_at IS NULL AND voided_at IS NULL"
            rows = GRANTS.read(
                f"tenant_id = $1::uuid AND stream = $2::uuid AND {live}",
                [place.tenant_id, held.id],
                f"ORDER BY {order} {'DESC' if backwards else 'ASC'}, id",
            )
            own = zones(snapshot)
            items = [
                shown.grant(row, shown.recurrence_of(row, own[row.feature_id]), now, v1=place.v1)
                for row in rows
            ]
        first = shown.issued_grant(listed, v1=place.v1)
        items = [first, *items] if first else items
        if place.v1:
            return Response(items)
        return Response(cut.paged(len(items), cut.of(items)))

    @extend_schema(request=shapes.NewGrantSerializer, responses={201: shapes.GrantSerializer})
    def post(self, request: Request, feature: str, **where: str) -> Response:
        """Grant an amount: it may be used from effectiveAt on, exactly, until it expires.

        It starts in the running usage period or later. Without maxRolloverAmount nothing of it is
        left after a reset in version 1, and all that was not used in version 2.
        """
        given = parameters.body(GrantBody, request.data)
        place = self.place(where)
        row = services.give(place.tenant_id, feature, given.read(rolls_over=not place.v1))
        recurs = None
        if row.interval:
            recurs = shown.recurrence_of(row, zones(load(place.tenant_id))[row.feature_id])
        return Response(shown.grant(row, recurs, clock(), v1=place.v1), status=201)


class SubjectValue(AtPlace):
    """The value of an entitlement of a subject's customer."""

    access: ClassVar = {"GET": READ}

    @extend_schema(parameters=[_EARLIER], responses=EntitlementValueSerializer)
    def get(self, request: Request, feature: str, **where: str) -> Response:
        """Tell whether a subject may use a feature, by its customer's entitlement; else 404."""
        now = clock()
        at = parameters.time(request.query_params, "time")
        with self.reading(where) as (place, snapshot):
            held = find(snapshot, feature, now)
            if at is not None and at < now:
                value = value_at(load(place.tenant_id, at), held.feature.key, at)
            else:
                value = value_now(snapshot, held.feature.key, now)
        return Response(shown_value(value))


class History(AtPlace):
    """How a metered entitlement was used and its grants burnt down."""

    access: ClassVar = {"GET": READ}

    @extend_schema(
        parameters=[
            OpenApiParameter("windowSize", str, enum=list(WindowSize), required=True),
            OpenApiParameter("from", datetime, description="Default: the last reset."),
            OpenApiParameter("to", datetime, description="Default: now."),
            OpenApiParameter("windowTimeZone", str, description="IANA name, default UTC."),
        ],
        responses=shapes.HistorySerializer,
    )
    def get(self, request: Request, feature: str, **where: str) -> Response:
        """Read use by window with the balance at each start, and the segments of the burn-down.

        A segment begins wherever a usage period or a grant begins, ends or recurs.
        """
        query, now = request.query_params, clock()
        with self.reading(where) as (place, snapshot):
            held = find(snapshot, feature, now)
            size, name = _windows(query)
            stream = stream_with_grants(snapshot, held.effective)
            start = parameters.time(query, "from") or stream.period(now).start
            end = min(parameters.time(query, "to") or now, now)
            if start >= end:
                raise Invalid("from lies before to, and has passed.", pointer="/query/from")
            meter, limit = operators_meter(held.feature.meter), issued(held.effective)
            rows = burndown.segments(place.tenant_id, meter, stream, limit, start, end)
            parts = burndown.stretches(place.tenant_id, meter, rows, start, end)
            used = burndown.windows(place.tenant_id, meter, parts, size, name)
        body: dict[str, Any] = dict(shown.history(parts, used))
        return Response(body)


def _windows(query: Mapping[str, str]) -> tuple[WindowSize, str]:
    """Read the size of windows and the zone in which they are civil.

    Raises:
        kernel.errors.Invalid: no such size or zone.
    """
    size = parameters.choice(query, "windowSize", "", list(WindowSize))
    zone = query.get("windowTimeZone") or "UTC"
    if not is_zone(zone):
        raise Invalid(f"{zone!r} is no IANA time zone.", pointer="/query/windowTimeZone")
    return WindowSize(size), zone
