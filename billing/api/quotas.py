"""Using metered entitlements: consume, reserve, commit, release. Exact, with idempotency keys."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final
from uuid import UUID

import msgspec
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing import permissions
from billing.api.doors import TENANT_HEADER, admit
from billing.api.entitlements import lasting
from billing.api.shapes import (
    CommitSerializer,
    ConsumeSerializer,
    QuotaUseSerializer,
    ReleaseSerializer,
    ReservationSerializer,
    ReserveSerializer,
)
from billing.catalog.models.values import quantity as read_quantity
from billing.catalog.queries import FeatureFact, feature_fact
from billing.entitlements.queries.snapshots import snapshot_of
from billing.entitlements.services import groups, use
from billing.entitlements.services.consuming import Consumption, consume
from billing.subscriptions.queries.customers import living_id
from billing.usage.api import parameters
from billing.usage.api.figures import number
from billing.usage.api.reach import reach
from billing.usage.exact import text_of
from billing.usage.queries.customers import public_id
from kernel import idempotency
from kernel.authz import Access, Principal, PrincipalKind, Scope, current_principal
from kernel.errors import NotFound
from kernel.gate.quota import Standing
from kernel.http.endpoint import Endpoint
from kernel.http.hot import (
    HotEndpoint,
    HotRequest,
    LeanResponse,
    decode,
    json_body,
    json_response,
)
from kernel.http.render import dumps
from kernel.idempotency import Attempt
from kernel.ids import InvalidIdError
from kernel.ids import decode as decode_id
from kernel.tenancy import tenant_context

_CONSUME: Final = Access(permissions.ENTITLEMENTS_CONSUME.name, Scope.ANY_TENANT)
_DEFAULT_TTL_S: Final = 60
CONSUME_ROUTE: Final = "api/v1/customers/<str:customer>/entitlements/<str:feature>/consume"
"""What an idempotency key belongs to, as Django names the route."""
Subject = Annotated[str, msgspec.Meta(max_length=256)]
Group = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]


class Consume(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How much is used, by whom within the tenant, and in which groups of the meter."""

    quantity: Any = 1
    subject: Subject = ""
    groups: dict[str, Group] = {}


_consume: Final = msgspec.json.Decoder(Consume)


class Reserve(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How much is held, and for how many seconds."""

    quantity: Any = 1
    ttl_seconds: int = _DEFAULT_TTL_S


class Commit(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Which reservation, and how much of it was used; by default all."""

    reservation: str
    quantity: Any = None
    subject: Subject = ""


class Release(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Which reservation."""

    reservation: str


class QuotaEndpoint(Endpoint):
    """A verb on one metered entitlement of a customer."""

    @contextmanager
    def quota(self, customer: str, feature: str) -> Iterator[tuple[UUID, FeatureFact]]:
        """Work as the customer's tenant, in the request's transaction.

        A tenant's own service costs no query here; the operator's costs two.

        Raises:
            kernel.errors.NotFound: no such customer, or no such feature.
            kernel.errors.PreconditionFailed: the customer is deleted.
        """
        principal = current_principal()
        own = principal.tenant_id
        if own is not None:
            snapshot = snapshot_of(principal, own)
            if customer not in (snapshot.slug, public_id(own)):
                raise NotFound("There is no such customer.", code="customer_not_found")
            yield own, _known(snapshot.features.get(feature))
            return
        with reach():
            tenant_id = living_id(customer)
        with tenant_context(tenant_id):
            yield tenant_id, _known(feature_fact(feature))


class ConsumeView(HotEndpoint):
    """Use at once."""

    access: ClassVar = {"POST": _CONSUME}

    @extend_schema(request=ConsumeSerializer, responses=QuotaUseSerializer)
    def post(self, request: Request, customer: str, feature: str) -> Response:
        """Use a quantity, all of it or nothing.

        It is a usage event and counted everywhere when this answers. What does not fit is refused
        with 409 `quota_exceeded` and resetAt, whatever else happens at the same time.

        `groups` names values of the meter's groups, which the event then carries. A feature that
        counts some groups needs them where its filter does not say one value: 400 with a pointer.
        """
        raise TypeError("served by serve")

    @classmethod
    def serve(cls, request: HotRequest, **kwargs: str) -> LeanResponse:
        """Answer the request."""
        named = TENANT_HEADER in request.META
        visit = admit(cls, request, kwargs["customer"])
        principal = current_principal()
        given = decode(_consume, json_body(request) or b"{}")
        fact = _known(visit.snapshot.features.get(kwargs["feature"]))
        by_operator = principal.kind is not PrincipalKind.TENANT_KEY
        call = Consumption(
            tenant_id=visit.tenant_id,
            by_operator=by_operator,
            feature=fact,
            quantity=read_quantity(given.quantity, "/quantity"),
            subject=given.subject,
            attempt=_attempt(request, principal, named or not by_operator),
            write=lambda used: dumps(_used(used)),
        )
        if given.groups or groups.concerned(visit.snapshot, fact, datetime.now(UTC)):
            answer = groups.consume(call, given.groups)
        else:
            answer = consume(call)
        response = json_response(answer.content)
        if answer.replayed:
            response.headers[idempotency.REPLAYED] = "true"
        return response


def _attempt(request: HotRequest, principal: Principal, of_tenant: bool) -> Attempt | None:
    """Read the idempotency key; its record is the tenant's, or the operator's who named none."""
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    return idempotency.attempt_of(
        key,
        principal,
        owner=principal.tenant_id if of_tenant else None,
        method="POST",
        route=CONSUME_ROUTE,
        path=request.path_info,
        body=request.body,
    )


class ReserveView(QuotaEndpoint):
    """Hold for a while."""

    access: ClassVar = {"POST": _CONSUME}

    @extend_schema(request=ReserveSerializer, responses={201: ReservationSerializer})
    def post(self, request: Request, customer: str, feature: str) -> Response:
        """Hold a quantity until it is committed or released, or expires.

        What is held is not there for anybody else. What does not fit is refused with 409
        `quota_exceeded`.
        """
        given = parameters.body(Reserve, request.data)
        amount = read_quantity(given.quantity, "/quantity")
        with self.quota(customer, feature) as (tenant_id, fact):
            ttl = timedelta(seconds=given.ttl_seconds)
            held = use.reserve(tenant_id, fact, amount, ttl)
        body = {"id": held.id, "state": "held", "expiresAt": held.expires_at}
        amounts = _amounts(held.quantity, held.standing, held.exhausted_at)
        return Response(body | amounts, status=201)


class CommitView(QuotaEndpoint):
    """Use what is held."""

    access: ClassVar = {"POST": _CONSUME}

    @extend_schema(request=CommitSerializer, responses=QuotaUseSerializer)
    def post(self, request: Request, customer: str, feature: str) -> Response:
        """Use what a reservation holds, or a part of it, and free the rest.

        More than it holds is used if it still fits, else 409 `quota_exceeded` and nothing changes.
        A reservation that has ended answers 409 `reservation_expired`, `reservation_released` or
        `reservation_committed`.
        """
        given = parameters.body(Commit, request.data)
        amount = None if given.quantity is None else read_quantity(given.quantity, "/quantity")
        with self.quota(customer, feature) as (tenant_id, fact):
            hold = _hold(given.reservation)
            used = use.commit(tenant_id, fact, hold, amount, given.subject)
        return Response(_used(used))


class ReleaseView(QuotaEndpoint):
    """Free what is held."""

    access: ClassVar = {"POST": _CONSUME}

    @extend_schema(request=ReleaseSerializer, responses={204: None})
    def post(self, request: Request, customer: str, feature: str) -> Response:
        """Free what a reservation holds."""
        given = parameters.body(Release, request.data)
        with self.quota(customer, feature) as (tenant_id, fact):
            use.release(tenant_id, fact, _hold(given.reservation))
        return Response(status=204)


VERBS: Final[dict[str, Callable[..., Any]]] = {
    "consume": ConsumeView.as_view(),
    "reserve": ReserveView.as_view(),
    "commit": CommitView.as_view(),
    "release": ReleaseView.as_view(),
}


def _known(fact: FeatureFact | None) -> FeatureFact:
    if fact is None:
        raise NotFound("There is no such feature.", code="feature_not_found")
    return fact


def _hold(text: str) -> UUID:
    try:
        return decode_id(use.HOLD_PREFIX, text)
    except InvalidIdError as error:
        raise NotFound("There is no such reservation.", code="reservation_not_found") from error


def _used(used: use.Used) -> dict[str, Any]:
    amounts = _amounts(used.quantity, used.standing, used.exhausted_at)
    return {"eventId": used.event_id} | amounts


def _amounts(
    quantity: Decimal, standing: Standing | None, exhausted_at: datetime | None
) -> dict[str, Any]:
    """Write a quantity and the tightest quota after it, with exact decimals beside."""
    amounts: dict[str, Decimal | None] = {"quantity": quantity}
    body: dict[str, Any] = {}
    if standing is not None:
        amounts |= {
            "limit": standing.hard_limit,
            "used": standing.used,
            "reserved": standing.reserved,
            "remaining": standing.remaining,
        }
        body = {"resetAt": standing.end}
    if exhausted_at is not None:
        body |= lasting(exhausted_at, datetime.now(UTC))
    for name, amount in amounts.items():
        if amount is not None:
            body[name] = number(amount)
            body[f"{name}Decimal"] = text_of(amount)
    return body
