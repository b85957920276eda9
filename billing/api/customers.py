"""Customers: tenants in OpenMeter's words. A tenant key sees itself, the operator everybody."""

from typing import Any, ClassVar, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing import permissions
from billing.api.shapes import CustomerPageSerializer, CustomerSerializer
from billing.catalog.models.plans import PLAN_PREFIX
from billing.catalog.queries import content_of
from billing.subscriptions.models import Subscription
from billing.subscriptions.models.subscriptions import SUBSCRIPTION_PREFIX
from billing.subscriptions.queries import history
from billing.subscriptions.queries.customers import ORDERS, Customer, Search, find, search
from billing.usage.api import parameters
from billing.usage.api.reach import reach
from billing.usage.queries.customers import public_id
from kernel.authz import Access, Scope
from kernel.http.endpoint import Endpoint
from kernel.ids import encode

_MOST_PAGES: Final = 1_000_000
_EXPAND: Final = OpenApiParameter("expand", str, enum=["subscriptions"], many=True)
_MONTHLY: Final = "P1M"


class Customers(Endpoint):
    """The customers that the caller may see."""

    access: ClassVar = {"GET": Access(permissions.CUSTOMERS_READ.name, Scope.ANY_TENANT)}

    @extend_schema(
        parameters=[
            OpenApiParameter("page", int),
            OpenApiParameter("pageSize", int, description="1 to 1000, default 100."),
            OpenApiParameter("order", str, enum=["ASC", "DESC"]),
            OpenApiParameter("orderBy", str, enum=list(ORDERS)),
            OpenApiParameter("includeDeleted", bool),
            OpenApiParameter("key", str, description="Part of the key."),
            OpenApiParameter("name", str, description="Part of the name."),
            OpenApiParameter("subject", str, description="Part of an attributed subject key."),
            OpenApiParameter("planKey", str),
            _EXPAND,
        ],
        responses=CustomerPageSerializer,
    )
    def get(self, request: Request) -> Response:
        """List customers: numbered pages with their total, as OpenMeter's clients read them."""
        query = request.query_params
        wanted = Search(
            key=query.get("key", ""),
            name=query.get("name", ""),
            subject=query.get("subject", ""),
            plan=query.get("planKey", ""),
            include_deleted=parameters.flag(query, "includeDeleted"),
            order_by=parameters.choice(query, "orderBy", "name", ORDERS),
            descending=parameters.choice(query, "order", "ASC", ("ASC", "DESC")) == "DESC",
            page=parameters.number(query, "page", 1, _MOST_PAGES),
            size=parameters.number(query, "pageSize", 100),
        )
        with reach():
            total, customers = search(wanted)
            items = [shown(customer, expand=_expanded(request)) for customer in customers]
        page = {"totalCount": total, "page": wanted.page, "pageSize": wanted.size}
        return Response({**page, "items": items})


class OneCustomer(Endpoint):
    """One customer, by its id (``ten_…``) or key (the tenant's slug)."""

    access: ClassVar = {"GET": Access(permissions.CUSTOMERS_READ.name, Scope.ANY_TENANT)}

    @extend_schema(parameters=[_EXPAND], responses=CustomerSerializer)
    def get(self, request: Request, customer: str) -> Response:
        """Read a customer. Another tenant's is not found."""
        with reach():
            return Response(shown(find(customer), expand=_expanded(request)))


def shown(customer: Customer, *, expand: bool = False) -> dict[str, Any]:
    """Write a customer as OpenMeter does."""
    body: dict[str, Any] = {
        "id": public_id(customer.id),
        "key": customer.key,
        "name": customer.name,
        "createdAt": customer.created_at,
        "updatedAt": customer.updated_at,
        "usageAttribution": {"subjectKeys": list(customer.subject_keys)},
        "metadata": {},
    }
    if customer.deleted_at is not None:
        body["deletedAt"] = customer.deleted_at
    if customer.subscription_id is not None:
        body["currentSubscriptionId"] = encode(SUBSCRIPTION_PREFIX, customer.subscription_id)
        body["currency"] = customer.currency
    if expand:
        body["subscriptions"] = [_subscription(one) for one in history(customer.id)]
    return body


def _subscription(subscription: Subscription) -> dict[str, Any]:
    plan = content_of(subscription.version_id)
    body: dict[str, Any] = {
        "id": encode(SUBSCRIPTION_PREFIX, subscription.id),
        "name": plan.name,
        "createdAt": subscription.starts_at,
        "updatedAt": subscription.ends_at or subscription.starts_at,
        "activeFrom": subscription.starts_at,
        "status": "active" if subscription.ends_at is None else "inactive",
        "customerId": public_id(subscription.tenant_id),
        "plan": {"id": encode(PLAN_PREFIX, plan.plan_id), "key": plan.key, "version": plan.number},
        "currency": plan.currency,
        "costBasisMode": "dynamic",
        "costBasisPins": [],
        "billingCadence": _MONTHLY,
        "billingAnchor": subscription.starts_at,
        "settlementMode": "credit_then_invoice",
    }
    if subscription.ends_at is not None:
        body["activeTo"] = subscription.ends_at
    return body


def _expanded(request: Request) -> bool:
    return "subscriptions" in request.query_params.getlist("expand")
