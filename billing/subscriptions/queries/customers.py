"""Reads of customers: tenants with their plan and the subjects attributed to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import models

from billing.subscriptions.models import CustomerProfile, Subscription
from kernel import db, ids
from kernel.errors import NotFound, PreconditionFailed
from kernel.tenancy import tenant_or_none
from kernel.tenancy.direct import Direct
from tenants.models import Status, Tenant
from tenants.queries import ROWS

ORDERS: Final = {"id": "id", "name": "name", "createdAt": "created_at"}
"""Orders of a list, by OpenMeter's names."""
_NONE: Final = (None, "")
_BESIDE: Final = """
SELECT s.id, coalesce(v.currency, ''),
       ARRAY(SELECT a.subject FROM billing_usage_attribution a
              WHERE a.tenant_id = t.id ORDER BY a.subject)
  FROM (SELECT $1::uuid AS id) AS t
  LEFT JOIN billing_subscription s ON s.tenant_id = t.id AND s.ends_at IS NULL
  LEFT JOIN billing_plan_version v ON v.id = s.version_id
"""
PROFILES: Final = Direct(CustomerProfile)
"""Profiles by prepared statements, for changes."""


@dataclass(frozen=True, slots=True)
class Customer:
    """A tenant as a customer. ``key`` is its slug; ``deleted_at`` is when it was closed."""

    id: UUID
    key: str
    name: str
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    subject_keys: Sequence[str] = ()
    subscription_id: UUID | None = None
    currency: str = ""
    profile: CustomerProfile | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to list: parts of key, name, subject and email, a plan's key, order and page."""

    key: str = ""
    name: str = ""
    subject: str = ""
    email: str = ""
    plan: str = ""
    include_deleted: bool = False
    order_by: str = "name"
    descending: bool = False
    page: int = 1
    size: int = 100


def find(id_or_key: str) -> Customer:
    """Find a customer that the context may see: a tenant finds itself only.

    Raises:
        kernel.errors.NotFound: no such customer, or another tenant.
    """
    return of_tenant(_seen(id_or_key))


def of_tenant(tenant: Tenant, profile: CustomerProfile | None = None) -> Customer:
    """Describe a tenant that is at hand as a customer; ``profile`` None is read."""
    ((subscription, currency, subjects),) = db.rows(_BESIDE, [tenant.id])
    if profile is None:
        profile = next(iter(PROFILES.read("tenant_id = $1::uuid", [tenant.id])), None)
    return Customer(
        tenant.id,
        tenant.slug,
        tenant.name,
        tenant.created_at,
        tenant.updated_at,
        tenant.closed_at,
        subjects,
        subscription,
        currency,
        profile,
    )


def living_id(id_or_key: str) -> UUID:
    """Find the tenant of a customer that is not deleted, in one query.

    Raises:
        kernel.errors.NotFound: no such customer, or another tenant.
        kernel.errors.PreconditionFailed: it is deleted.
    """
    found = _seen(id_or_key)
    if found.status == Status.CLOSED:
        raise PreconditionFailed("The customer is deleted.", code="customer_deleted")
    return found.id


def _seen(id_or_key: str) -> Tenant:
    named = ids.read(ids.TENANT, id_or_key)
    if named is not None:
        found = ROWS.read("id = $1::uuid", [named])
    else:
        found = ROWS.read("slug = $1", [id_or_key])
    if not found:
        raise NotFound("There is no such customer.", code="customer_not_found")
    return found[0]


def search(wanted: Search) -> tuple[int, list[Customer]]:
    """Count and list the customers that the context may see.

    The count is OpenMeter's contract; it runs over the tenant table only.
    """
    rows = _filtered(wanted)
    order = ("-" if wanted.descending else "") + ORDERS[wanted.order_by]
    first = (wanted.page - 1) * wanted.size
    page = rows.order_by(order, "id")[first : first + wanted.size]
    return rows.count(), _customers(list(page))


def _filtered(wanted: Search) -> models.QuerySet[Tenant]:
    rows: models.QuerySet[Tenant] = Tenant.objects.all()
    if not wanted.include_deleted:
        rows = rows.exclude(status=Status.CLOSED)
    if wanted.key:
        rows = rows.filter(slug__icontains=wanted.key)
    if wanted.name:
        rows = rows.filter(name__icontains=wanted.name)
    if wanted.email:
        profiles = CustomerProfile.objects.filter(primary_email__icontains=wanted.email)
        rows = rows.filter(id__in=profiles.values("tenant_id"))
    if wanted.plan:
        current = Subscription.objects.filter(ends_at=None, version__plan__key=wanted.plan)
        rows = rows.filter(id__in=current.values("tenant_id"))
    if wanted.subject:
        rows = rows.filter(id__in=_attributed(wanted.subject))
    return rows


def _customers(tenants: Sequence[Tenant]) -> list[Customer]:
    ids = [tenant.id for tenant in tenants]
    subscriptions = {
        tenant_id: (id_, currency)
        for tenant_id, id_, currency in Subscription.objects.filter(
            tenant_id__in=ids, ends_at=None
        ).values_list("tenant_id", "id", "version__currency")
    }
    subjects = _subject_keys(ids)
    profiles = {one.tenant_id: one for one in CustomerProfile.objects.filter(tenant_id__in=ids)}
    return [
        Customer(
            tenant.id,
            tenant.slug,
            tenant.name,
            tenant.created_at,
            tenant.updated_at,
            tenant.closed_at,
            subjects.get(tenant.id, ()),
            subscriptions.get(tenant.id, _NONE)[0],
            subscriptions.get(tenant.id, _NONE)[1],
            profiles.get(tenant.id),
        )
        for tenant in tenants
    ]


def _subject_keys(tenant_ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT tenant_id, array_agg(subject ORDER BY subject) FROM billing_usage_attribution"
            " WHERE tenant_id = ANY (%s) GROUP BY tenant_id",
            [list(tenant_ids)],
        )
        return dict(cursor.fetchall())


def _attributed(part: str) -> list[UUID]:
    """Find the visible tenants that a subject key with this part is attributed to."""
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT tenant_id FROM billing_usage_attribution"
            " WHERE position(lower(%s) IN lower(subject)) > 0"
            " AND tenant_id = coalesce(%s, tenant_id)",
            [part, tenant_or_none()],
        )
        return [row[0] for row in cursor.fetchall()]
