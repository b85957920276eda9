"""Giving a tenant a plan."""

from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from audit.services import audited, record
from billing.actions import PLAN_CHANGED
from billing.catalog.queries import PlanContent, content_of, newest_version_id
from billing.subscriptions.events import SubscriptionChanged
from billing.subscriptions.models import Subscription
from billing.subscriptions.models.subscriptions import SUBSCRIPTION_PREFIX
from billing.subscriptions.queries import ROWS, current_subscription
from billing.subscriptions.services.serial import serialise
from kernel.events import emit
from kernel.ids import encode

_TICK = timedelta(microseconds=1)


def assign(tenant_id: UUID, plan_key: str) -> Subscription:
    """Give the tenant the newest published version of a plan, from now on.

    What the plan grants holds from the next request on: entitlements hear of the change in this
    transaction and tell the gate. A tenant that has that version already keeps its subscription,
    and nothing is recorded. Works for one tenant (its context) and across tenants (staff).

    Raises:
        kernel.errors.Invalid: there is no such plan on offer (pointer ``/plan``).
    """
    version_id = newest_version_id(plan_key)
    with audited():
        serialise(tenant_id)
        current = current_subscription(tenant_id)
        if current is not None and current.version_id == version_id:
            return current
        now = timezone.now()
        if current is not None:
            now = _close(current, now)
        begun = Subscription(tenant_id=tenant_id, version_id=version_id, starts_at=now)
        ROWS.insert(begun)
        _tell(begun, content_of(current.version_id) if current else None)
    return begun


def _close(current: Subscription, now: datetime) -> datetime:
    """End a subscription and give its end: now, or just after its start if the clock went back."""
    current.ends_at = max(now, current.starts_at + _TICK)
    ROWS.update("ends_at = $1::timestamptz", "id = $2::uuid", [current.ends_at, current.id])
    return current.ends_at


def _tell(begun: Subscription, before: PlanContent | None) -> None:
    content = content_of(begun.version_id)
    subscription = encode(SUBSCRIPTION_PREFIX, begun.id)
    record(
        action=PLAN_CHANGED.name,
        target_type="subscription",
        target_id=subscription,
        before={"plan": before.key, "version": before.number} if before else None,
        after={"plan": content.key, "version": content.number},
        tenant_id=begun.tenant_id,
    )
    emit(
        SubscriptionChanged(
            tenant_id=begun.tenant_id,
            subscription=subscription,
            plan=content.key,
            version=content.number,
            previous=before.key if before else None,
            at=begun.starts_at.isoformat(),
        )
    )
