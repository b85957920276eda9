"""Customers: tenants in OpenMeter's words. A tenant key sees itself, the operator everybody."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final

import msgspec
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing import permissions
from billing.api.shapes import (
    CustomerInputSerializer,
    CustomerPageSerializer,
    CustomerSerializer,
    NewCustomerSerializer,
)
from billing.catalog.models.plans import PLAN_PREFIX
from billing.catalog.queries import content_of
from billing.subscriptions.models import CustomerProfile, Subscription
from billing.subscriptions.models.subscriptions import SUBSCRIPTION_PREFIX
from billing.subscriptions.queries import history
from billing.subscriptions.queries.customers import (
    ORDERS,
    Customer,
    Search,
    find,
    living_id,
    of_tenant,
    search,
)
from billing.subscriptions.services import customers as services
from billing.subscriptions.services.customers import DEFAULT_PLAN, Description
from billing.usage.api import parameters
from billing.usage.api.reach import reach
from billing.usage.queries.customers import public_id
from kernel import db
from kernel.authz import Access, PrincipalKind, Scope, current_principal
from kernel.http.endpoint import Endpoint
from kernel.ids import encode
from kernel.tenancy import across_tenants

_MOST_PAGES: Final = 1_000_000
_EXPAND: Final = OpenApiParameter("expand", str, enum=["subscriptions"], many=True)
_MONTHLY: Final = "P1M"


class Attribution(msgspec.Struct, rename="camel"):
    """Which subjects of the operator's events are a customer's."""

    subject_keys: list[str]


class GivenCustomer(msgspec.Struct, rename="camel", kw_only=True):
    """A customer as OpenMeter's clients send it, whole; what is absent is empty."""

    name: str
    key: str | None = None
    usage_attribution: Attribution | None = None
    description: str | None = None
    primary_email: str | None = None
    currency: str | None = None
    billing_address: dict[str, str | None] | None = None
    metadata: dict[str, str] | None = None
    plan: str | None = None

    def description_of(self) -> Description:
        """Give what the service takes."""
        attributed = self.usage_attribution.subject_keys if self.usage_attribution else []
        address = self.billing_address or {}
        return Description(
            name=self.name,
            key=self.key,
            subject_keys=attributed,
            description=self.description or "",
            primary_email=self.primary_email or "",
            currency=self.currency or "",
            billing_address={name: text for name, text in address.items() if text},
            metadata=self.metadata or {},
        )


class Customers(Endpoint):
    """The customers that the caller may see."""

    access: ClassVar = {
        "GET": Access(permissions.CUSTOMERS_READ.name, Scope.ANY_TENANT),
        "POST": Access(permissions.CUSTOMERS_WRITE.name, Scope.OPERATOR),
    }

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
            OpenApiParameter("primaryEmail", str, description="Part of the address."),
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
            email=query.get("primaryEmail", ""),
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

    @extend_schema(request=NewCustomerSerializer, responses={201: CustomerSerializer})
    def post(self, request: Request) -> Response:
        """Make a customer, which is a tenant, on a plan (`plan`, our addition; default basic).

        Its key is the tenant's slug and never changes; without one it is made of the name.
        """
        given = parameters.body(GivenCustomer, request.data)
        made = services.create(given.description_of(), given.plan or DEFAULT_PLAN)
        return Response(shown(of_tenant(*made)), status=201)


class OneCustomer(Endpoint):
    """One customer, by its id (``ten_…``) or key (the tenant's slug)."""

    access: ClassVar = {
        "GET": Access(permissions.CUSTOMERS_READ.name, Scope.ANY_TENANT),
        "PUT": Access(permissions.CUSTOMERS_WRITE.name, Scope.ANY_TENANT),
        "DELETE": Access(permissions.CUSTOMERS_WRITE.name, Scope.OPERATOR),
    }

    @extend_schema(parameters=[_EXPAND], responses=CustomerSerializer)
    def get(self, request: Request, customer: str) -> Response:
        """Read a customer. Another tenant's is not found."""
        with reach():
            return Response(shown(find(customer), expand=_expanded(request)))

    @extend_schema(request=CustomerInputSerializer, responses=CustomerSerializer)
    def put(self, request: Request, customer: str) -> Response:
        """Describe a customer anew; what is absent is empty from now on.

        A tenant key changes its own description, address, e-mail and metadata; name, currency and
        subjects are the operator's, and the key stays.
        """
        with reach():
            tenant_id = living_id(customer)
        given = parameters.body(GivenCustomer, request.data).description_of()
        with _deciding() as by_operator:
            made = services.replace(tenant_id, given, by_operator=by_operator)
            return Response(shown(of_tenant(*made)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, customer: str) -> Response:
        """Close a customer: its keys are refused, its subjects are free, what it used stays."""
        services.delete(find(customer).id)
        return Response(status=204)


@contextmanager
def _deciding() -> Iterator[bool]:
    """Work as staff where the operator calls: a name and whose a subject is concern all tenants."""
    if current_principal().kind is not PrincipalKind.PLATFORM_KEY:
        with reach():
            yield False
        return
    with db.use_alias("staff"), across_tenants():
        yield True


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
    if customer.profile is not None:
        body |= _profile(customer.profile)
    if customer.deleted_at is not None:
        body["deletedAt"] = customer.deleted_at
    if customer.subscription_id is not None:
        body["currentSubscriptionId"] = encode(SUBSCRIPTION_PREFIX, customer.subscription_id)
        body.setdefault("currency", customer.currency)
    if expand:
        body["subscriptions"] = [_subscription(one) for one in history(customer.id)]
    return body


def _profile(profile: CustomerProfile) -> dict[str, Any]:
    """Write what is said of a customer, and nothing of what is not."""
    said = {
        "description": profile.description,
        "primaryEmail": profile.primary_email,
        "currency": profile.currency,
        "billingAddress": profile.billing_address,
        "metadata": profile.metadata,
    }
    return {name: value for name, value in said.items() if value}


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
