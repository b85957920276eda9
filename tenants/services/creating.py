"""Making a tenant."""

import re
from dataclasses import dataclass
from functools import cache
from zoneinfo import available_timezones

from django.db import IntegrityError

from audit.services import audited, record
from kernel import ports
from kernel.errors import Conflict, FieldError, Invalid
from kernel.events import emit
from tenants.actions import TENANT_CREATED
from tenants.events import TenantCreated
from tenants.models import MAX_NAME, SLUG_PATTERN, Tenant
from tenants.queries import ROWS

_SLUG = re.compile(SLUG_PATTERN)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTenant:
    """A tenant to be: ``plan`` is a plan's key, ``owner_email`` makes that person its owner."""

    name: str
    slug: str
    plan: str
    owner_email: str | None = None
    timezone: str = "UTC"

    def check(self) -> None:
        """Look for faults of form.

        Raises:
            kernel.errors.Invalid: with one entry a fault.
        """
        faults = []
        if not 1 <= len(self.name.strip()) <= MAX_NAME:
            faults.append(
                FieldError("/name", "invalid_name", f"A name has 1 to {MAX_NAME} characters.")
            )
        if not _SLUG.fullmatch(self.slug):
            faults.append(
                FieldError(
                    "/slug", "invalid_slug", "A slug is a lower-case DNS label, 1 to 63 long.",
                    "Use letters a to z, digits and inner hyphens.",
                )
            )  # fmt: skip
        if self.timezone not in timezones():
            faults.append(
                FieldError("/timezone", "invalid_timezone", "This is no IANA time zone name.")
            )
        if faults:
            raise Invalid("The input has faults; see errors.", errors=faults)


@cache
def timezones() -> frozenset[str]:
    """Name the known time zones; read from the disk once a process."""
    return frozenset(available_timezones())


def create(new: NewTenant) -> Tenant:
    """Create a tenant with its plan, known to the gate, and its owner where one is named.

    Rows only, no DDL. Runs across tenants (alias staff): no tenant exists before this one.

    Raises:
        kernel.errors.Invalid: a fault of form, or no such plan (pointer ``/plan``).
        kernel.errors.Conflict: the slug is taken (code ``slug_taken``).
    """
    new.check()
    tenant = Tenant(slug=new.slug, name=new.name.strip(), timezone=new.timezone)
    with audited():
        _insert(tenant)
        record(
            action=TENANT_CREATED.name,
            target_type="tenant",
            target_id=tenant.public_id,
            after={"slug": tenant.slug, "name": tenant.name, "plan": new.plan},
            tenant_id=tenant.id,
        )
        ports.plans().assign(tenant.id, new.plan)
        if new.owner_email:
            ports.owners().invite(tenant.id, new.owner_email)
        emit(TenantCreated(tenant_id=tenant.id, slug=tenant.slug, title=tenant.name, plan=new.plan))
    return tenant


def _insert(tenant: Tenant) -> None:
    """Insert the row and tell the gate. A taken slug ends the transaction, as refusals do."""
    try:
        ROWS.insert(tenant, also="gate.put_tenant(id, status)")
    except IntegrityError as error:
        if Tenant._meta.db_table in str(error) and "slug" in str(error):
            raise Conflict(
                f"The slug {tenant.slug} is taken.", code="slug_taken", pointer="/slug"
            ) from error
        raise
