"""The tenant record: the noun that everything above points to."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.utils.timezone import now

from kernel.ids import TENANT, encode, new_id
from kernel.tenancy import models as fencing

PREFIX = TENANT
SLUG_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
MAX_NAME = 200


class Status(models.TextChoices):
    """Where a tenant stands. Only active tenants' keys are admitted."""

    ACTIVE = "active", "Active"
    SUSPENDED = "suspended", "Suspended"
    CLOSED = "closed", "Closed"


class TenantRows(models.Manager["Tenant"]):
    """Rows fenced by the tenant of the context, as on every tenant-owned model."""

    def get_queryset(self) -> models.QuerySet["Tenant"]:
        """Give the tenant's own row; all rows only across tenants.

        Raises:
            kernel.tenancy.TenantRequiredError: no tenant is set.
        """
        rows: fencing.TenantQuerySet[Tenant] = fencing.TenantQuerySet(self.model, using=self._db)
        return fencing.fence(rows, "id")


class Tenant(models.Model):
    """An organisation that is the operator's customer. Its id is what every ``tenant_id`` holds.

    Written by the operator only (alias staff): the app role may read its own row and nothing else.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.TextField(unique=True, help_text="Lower-case DNS label; never changes.")
    name = models.TextField()
    status = models.TextField(choices=Status.choices, default=Status.ACTIVE)
    timezone = models.TextField(default="UTC", help_text="IANA name; for reports and mails.")
    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    suspended_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[TenantRows] = TenantRows()

    class Meta:
        db_table = "tenants_tenant"
        base_manager_name = "objects"
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(slug__regex=SLUG_PATTERN), name="tenants_tenant_slug"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=Status.values), name="tenants_tenant_status"
            ),
            models.CheckConstraint(condition=~models.Q(name=""), name="tenants_tenant_name"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.slug})"

    @property
    def public_id(self) -> str:
        """Show the id as the API does: ``ten_…``."""
        return encode(PREFIX, self.id)

    def move(self, status: Status, at: datetime) -> None:
        """Set the status and the marks that go with it; nothing is written."""
        self.status = status
        self.suspended_at = at if status is Status.SUSPENDED else None
        self.closed_at = at if status is Status.CLOSED else None
