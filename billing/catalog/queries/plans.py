"""Reads of plans, their published versions and revenue tiers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final
from uuid import UUID

from django.db import models

from billing.catalog.models import Interval, PlanFeature, PlanLimit, PlanVersion, RevenueTier
from billing.catalog.models.values import Allowance, Kind, Value, read
from kernel import db
from kernel.errors import Invalid
from kernel.gate.projection import Burst

_NEWEST: Final = """
SELECT v.id FROM billing_plan_version v JOIN billing_plan p ON p.id = v.plan_id
 WHERE p.key = $1::text AND p.archived_at IS NULL AND v.published_at IS NOT NULL
 ORDER BY v.number DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class PlanContent:
    """Everything that one published plan version says. It never changes.

    ``grants`` holds typed values by feature key. Features whose allowance is a limit of the plan
    are not among them: see :meth:`allowance_of`. None stands for unlimited.
    """

    version_id: UUID
    plan_id: UUID
    key: str
    name: str
    description: str
    number: int
    published_at: datetime | None
    daily_requests: int | None
    daily_webhooks: int | None
    burst: Burst | None
    monthly_price: int
    currency: str
    grants: Mapping[str, Value]

    def allowance_of(self, plan_limit: str) -> Allowance:
        """Give the allowance of a feature that is a limit of the plan."""
        if plan_limit == PlanLimit.DAILY_REQUESTS:
            limit = self.daily_requests
        else:
            limit = self.daily_webhooks
        return Allowance(None if limit is None else Decimal(limit), Interval.DAY)


@lru_cache(maxsize=256)
def content_of(version_id: UUID) -> PlanContent:
    """Read a published plan version, once per process.

    Raises:
        billing.catalog.models.PlanVersion.DoesNotExist: no such published version.
    """
    version = (
        PlanVersion.objects.filter(published_at__isnull=False)
        .select_related("plan")
        .get(id=version_id)
    )
    rows = PlanFeature.objects.filter(version=version).values_list(
        "feature__key", "feature__kind", "feature__options", "value"
    )
    grants: dict[str, Value] = {
        key: read(Kind(kind), value, options) for key, kind, options, value in rows
    }
    burst = None
    if version.burst_rate is not None and version.burst_depth is not None:
        burst = Burst(version.burst_rate, version.burst_depth)
    return PlanContent(
        version_id=version.id,
        plan_id=version.plan_id,
        key=version.plan.key,
        name=version.plan.name,
        description=version.plan.description,
        number=version.number,
        published_at=version.published_at,
        daily_requests=version.daily_requests,
        daily_webhooks=version.daily_webhooks,
        burst=burst,
        monthly_price=version.monthly_price,
        currency=version.currency,
        grants=grants,
    )


def newest_version_id(plan_key: str) -> UUID:
    """Find the newest published version of a plan on offer.

    Raises:
        kernel.errors.Invalid: there is no such plan (pointer ``/plan``).
    """
    found = db.rows(_NEWEST, [plan_key])
    if not found:
        raise Invalid(f"There is no plan {plan_key!r}.", code="unknown_plan", pointer="/plan")
    newest: UUID = found[0][0]
    return newest


def plans_on_offer() -> list[PlanContent]:
    """List the newest published version of every plan that is not archived, cheapest first."""
    newest = _on_offer().order_by("plan_id", "-number").distinct("plan_id")
    contents = [content_of(version_id) for version_id in newest.values_list("id", flat=True)]
    return sorted(contents, key=lambda content: (content.monthly_price, content.key))


def revenue_tier(yearly: int) -> RevenueTier:
    """Classify a tenant by its yearly revenue in whole units of the tiers' currency.

    Raises:
        billing.catalog.models.RevenueTier.DoesNotExist: no tier holds the amount.
    """
    open_or_above = models.Q(upper=None) | models.Q(upper__gt=yearly)
    return RevenueTier.objects.get(open_or_above, lower__lte=yearly)


def _on_offer() -> models.QuerySet[PlanVersion]:
    return PlanVersion.objects.filter(published_at__isnull=False, plan__archived_at=None)
