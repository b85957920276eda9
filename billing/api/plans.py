"""Plans on offer, and the plan of a tenant."""

from typing import Any, ClassVar
from uuid import UUID

import msgspec
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing import permissions
from billing.api.shapes import PlanChoiceSerializer, PlanPageSerializer, TenantPlanSerializer
from billing.catalog.models.plans import PLAN_PREFIX
from billing.catalog.models.values import UNLIMITED, write
from billing.catalog.queries import PlanContent, content_of, plans_on_offer
from billing.subscriptions.models import Subscription
from billing.subscriptions.models.subscriptions import SUBSCRIPTION_PREFIX
from billing.subscriptions.queries import current_subscription
from billing.subscriptions.services import assign
from billing.usage.api import parameters
from billing.usage.queries.customers import public_id
from kernel.authz import Access, Scope
from kernel.errors import NotFound
from kernel.http.endpoint import Endpoint
from kernel.http.inputs import tenant_id
from kernel.ids import encode
from tenants.queries import by_id

_MINOR_PER_MAJOR = 100


class PlanChoice(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a change of plan."""

    plan: str


class Plans(Endpoint):
    """The plans on offer."""

    access: ClassVar = {"GET": Access(permissions.PLANS_READ.name, Scope.ANY_TENANT)}

    @extend_schema(responses=PlanPageSerializer)
    def get(self, request: Request) -> Response:
        """List the plans on offer, cheapest first, each in its newest published version."""
        items = [shown(plan) for plan in plans_on_offer()]
        page = {"totalCount": len(items), "page": 1, "pageSize": len(items), "next": None}
        return Response({**page, "items": items})


class TenantPlan(Endpoint):
    """The plan of one tenant."""

    access: ClassVar = {
        "GET": Access(permissions.PLANS_READ.name, Scope.OPERATOR),
        "PUT": Access(permissions.PLANS_ASSIGN.name, Scope.OPERATOR),
    }

    @extend_schema(responses=TenantPlanSerializer)
    def get(self, request: Request, tenant: str) -> Response:
        """Read the plan that the tenant has now."""
        subscription = current_subscription(_tenant(tenant))
        if subscription is None:
            raise NotFound("The tenant has no plan.", code="no_plan")
        return Response(held(subscription))

    @extend_schema(request=PlanChoiceSerializer, responses=TenantPlanSerializer)
    def put(self, request: Request, tenant: str) -> Response:
        """Move the tenant to the newest version of a plan. It holds from the next request on.

        What was used in the running periods stays used. Nothing is deleted by a downgrade.
        """
        whose = _tenant(tenant)
        choice = parameters.body(PlanChoice, request.data)
        return Response(held(assign(whose, choice.plan)))


def _tenant(text: str) -> UUID:
    """Find the tenant of a path.

    Raises:
        kernel.errors.NotFound: there is none.
    """
    return by_id(tenant_id(text)).id


def held(subscription: Subscription) -> dict[str, Any]:
    """Write which plan a tenant has."""
    plan = content_of(subscription.version_id)
    return {
        "tenant": public_id(subscription.tenant_id),
        "plan": plan.key,
        "version": plan.number,
        "subscription": encode(SUBSCRIPTION_PREFIX, subscription.id),
        "since": subscription.starts_at,
        "limits": limits(plan),
    }


def limits(plan: PlanContent) -> dict[str, Any]:
    """Write the limits of a plan; unlimited is said, not implied."""
    unlimited = write(UNLIMITED)
    daily, webhooks = plan.daily_requests, plan.daily_webhooks
    return {
        "daily_requests": unlimited if daily is None else daily,
        "daily_webhooks": unlimited if webhooks is None else webhooks,
        "burst": {"rate": plan.burst.rate, "depth": plan.burst.depth} if plan.burst else None,
    }


def shown(plan: PlanContent) -> dict[str, Any]:
    """Write a plan: limits and granted values of ours, and the members of OpenMeter's plans."""
    return {
        "id": encode(PLAN_PREFIX, plan.plan_id),
        "key": plan.key,
        "name": plan.name,
        "description": plan.description,
        "version": plan.number,
        "status": "active",
        "currency": plan.currency,
        "limits": limits(plan),
        "features": {key: write(value) for key, value in sorted(plan.grants.items())},
        "createdAt": plan.published_at,
        "updatedAt": plan.published_at,
        "effectiveFrom": plan.published_at,
        "billingCadence": "P1M",
        "phases": [{"key": "default", "name": plan.name, "rateCards": [_flat_fee(plan)]}],
        "validationErrors": [],
    }


def _flat_fee(plan: PlanContent) -> dict[str, Any]:
    major, minor = divmod(plan.monthly_price, _MINOR_PER_MAJOR)
    amount = f"{major}.{minor:02d}"
    price = {"type": "flat", "amount": amount, "paymentTerm": "in_advance"}
    return {"type": "flat_fee", "key": "base", "name": plan.name, "billingCadence": "P1M",
            "price": price}  # fmt: skip
