"""Entitlements: the value of one, and everything that a customer may use."""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import orjson
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing import permissions
from billing.api.balances import balances
from billing.api.doors import Visit, admit
from billing.api.shapes import (
    AccessSerializer,
    EntitlementValueSerializer,
    EntitlementValueV2Serializer,
)
from billing.catalog.models.values import Unlimited, write
from billing.entitlements.models.effective import Source
from billing.entitlements.models.entitlements import ENTITLEMENT_PREFIX
from billing.entitlements.models.projection import interval_of
from billing.entitlements.queries.held import seek
from billing.entitlements.queries.snapshots import load
from billing.entitlements.queries.values import (
    EntitlementValue,
    Metered,
    WindowMissingError,
    value_at,
    value_now,
    values_now,
)
from billing.entitlements.services import project
from billing.usage.api import parameters
from billing.usage.api.figures import both
from kernel import tenancy
from kernel.authz import Access, Scope
from kernel.gate import quota
from kernel.http.hot import HotEndpoint, HotRequest, LeanResponse, json_response

_READ = Access(permissions.ENTITLEMENTS_READ.name, Scope.ANY_TENANT)
_TIME = OpenApiParameter("time", datetime, description="Default: now. Earlier: counted anew.")
_DENIED: dict[str, Any] = {"hasAccess": False}


class EntitlementValueView(HotEndpoint):
    """The value of one entitlement of a customer."""

    access: ClassVar = {"GET": _READ}

    @extend_schema(parameters=[_TIME], responses=EntitlementValueSerializer)
    def get(self, request: Request, customer: str, feature: str) -> Response:
        """Tell whether a customer may use a feature, what it used, what is left, and until when.

        Every event is in the answer from the first read after its 204. An unknown feature and one
        that the customer is not entitled to answer `{"hasAccess": false}`.
        """
        raise TypeError("served by serve")

    @classmethod
    def serve(cls, request: HotRequest, **kwargs: str) -> LeanResponse:
        """Answer the request."""
        visit = admit(cls, request, kwargs["customer"])
        value = _value(visit, kwargs["feature"], request)
        body = cls.body(visit, value)
        if value is not None and not value.has_access and not request.GET.get("time"):
            body |= _returning(visit, value)
        return _answer(body)

    @classmethod
    def body(cls, visit: Visit, value: EntitlementValue | None) -> dict[str, Any]:
        """Write the answer."""
        return shown(value)


class EntitlementValueV2View(EntitlementValueView):
    """The value of one entitlement, with the balances of its grants."""

    access: ClassVar = {"GET": _READ}

    @extend_schema(parameters=[_TIME], responses=EntitlementValueV2Serializer)
    def get(self, request: Request, customer: str, feature: str) -> Response:
        """Tell whether a customer may use a feature, and how each grant stands."""
        raise TypeError("served by serve")

    @classmethod
    def body(cls, visit: Visit, value: EntitlementValue | None) -> dict[str, Any]:
        """Write the answer, with grantBalances where the entitlement is metered."""
        body = shown(value)
        if value is not None and value.metered is not None:
            body["grantBalances"] = balances(value.grants)
        return body


class AccessView(HotEndpoint):
    """Everything that a customer may use."""

    access: ClassVar = {"GET": _READ}

    @extend_schema(responses=AccessSerializer)
    def get(self, request: Request, customer: str) -> Response:
        """List the values of all features that the customer is entitled to, by key."""
        raise TypeError("served by serve")

    @classmethod
    def serve(cls, request: HotRequest, **kwargs: str) -> LeanResponse:
        """Answer the request."""
        visit = admit(cls, request, kwargs["customer"])
        now = datetime.now(UTC)
        try:
            values = values_now(visit.snapshot, now, visit.connection)
        except WindowMissingError:
            _open_windows(visit)
            values = values_now(visit.snapshot, now, visit.connection)
        return _answer({"entitlements": {key: shown(value) for key, value in values.items()}})


def _value(visit: Visit, feature: str, request: HotRequest) -> EntitlementValue | None:
    at = parameters.time(request.GET, "time")
    now = datetime.now(UTC)
    if feature.startswith(f"{ENTITLEMENT_PREFIX}_"):
        found = seek(visit.snapshot, feature, now)
        feature = found.feature.key if found else feature
    if at is not None and at < now:
        with tenancy.tenant_context(visit.tenant_id):
            return value_at(load(visit.tenant_id, at), feature, at)
    try:
        return value_now(visit.snapshot, feature, now, visit.connection)
    except WindowMissingError:
        _open_windows(visit)
        return value_now(visit.snapshot, feature, now, visit.connection)


def _returning(visit: Visit, value: EntitlementValue) -> dict[str, Any]:
    """Say when access returns, if that is known: a metered feature that is used up."""
    feature, metered = value.effective.feature, value.metered
    if metered is None:
        return {}
    returns: datetime | None = metered.period.end if metered.limit else None
    if feature.has_quota:
        now = datetime.now(UTC)
        connection = visit.connection
        returns = quota.access_returns(visit.tenant_id, feature.key, now, connection=connection)
    return {} if returns is None else {"accessReturnsAt": returns}


def _open_windows(visit: Visit) -> None:
    """Open the quota windows of this period and the next ones: nobody has for a long time."""
    with tenancy.tenant_context(visit.tenant_id):
        project(visit.tenant_id)


def _answer(body: dict[str, Any]) -> LeanResponse:
    return json_response(orjson.dumps(body, option=orjson.OPT_UTC_Z))


def shown(value: EntitlementValue | None) -> dict[str, Any]:
    """Write the value of an entitlement as OpenMeter does, with exact decimals and more beside.

    Boolean ones hold hasAccess, static ones also config, an object as JSON text.
    """
    if value is None or value.effective.source is Source.NONE:
        return _DENIED
    effective = value.effective
    body: dict[str, Any] = {"hasAccess": value.has_access, "source": effective.source}
    if effective.expires_at is not None:
        body["expiresAt"] = effective.expires_at
    if value.metered is not None:
        body["type"] = "metered"
        _add_standing(body, value, value.metered)
        return body
    if isinstance(effective.value, bool) or effective.value is None:
        return body | {"type": "boolean"}
    stored = write(effective.value)
    config = stored if isinstance(stored, dict) else {"value": stored}
    body |= {"type": "static", "config": orjson.dumps(config).decode(), "value": stored}
    if isinstance(effective.value, Unlimited):
        body["unlimited"] = True
    return body


def lasting(exhausted_at: datetime, now: datetime) -> dict[str, Any]:
    """Write when a quota is used up at the present rate, and how many seconds remain until then."""
    seconds = (exhausted_at - now) / timedelta(seconds=1)
    return {"exhaustedAt": exhausted_at, "remainingSeconds": max(int(seconds), 0)}


def _add_standing(body: dict[str, Any], value: EntitlementValue, metered: Metered) -> None:
    """Write a metered standing. Amounts of what has no bound are left out, and said so."""
    amounts = (
        ("balance", metered.balance),
        ("usage", metered.used),
        ("overage", metered.overage),
        ("totalAvailableGrantAmount", metered.limit),
        ("remaining", metered.remaining),
        ("reserved", metered.reserved),
    )
    for name, amount in amounts:
        if amount is not None:
            body[name], body[f"{name}Decimal"] = both(amount)
    now = datetime.now(UTC)
    exhausted = metered.exhausted_at(now)
    if exhausted is not None:
        body.update(lasting(exhausted, now))
    body["unlimited"] = metered.limit is None
    body["softLimit"] = metered.soft
    body["period"] = interval_of(value.effective)
    body["periodStart"], body["resetAt"] = metered.period.start, metered.period.end
