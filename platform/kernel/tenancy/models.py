"""The base of tenant-owned models: the ORM half of the fence."""

from collections.abc import Iterable
from typing import Any, ClassVar, Self, TypeVar
from uuid import UUID

from django.db import models

from kernel.ids import new_id
from kernel.tenancy import context

M = TypeVar("M", bound=models.Model)


class CrossTenantWriteError(RuntimeError):
    """A row of another tenant was about to be written: a fault of the program."""


class TenantQuerySet(models.QuerySet[M]):
    """A queryset whose bulk writes are checked against the tenant of the context."""

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:
        """Insert rows of the current tenant only."""
        rows = list(objs)
        for row in rows:
            claim(row)
        return super().bulk_create(rows, *args, **kwargs)


class TenantManager(models.Manager[M]):
    """A manager that filters by the tenant of the context and raises where there is none."""

    def get_queryset(self) -> TenantQuerySet[M]:
        """Give the rows of the tenant; all rows only inside :func:`across_tenants`.

        Raises:
            kernel.tenancy.TenantRequiredError: no tenant is set.
        """
        return fence(TenantQuerySet(self.model, using=self._db))


def fence(rows: TenantQuerySet[M], column: str = "tenant_id") -> TenantQuerySet[M]:
    """Limit a queryset to the tenant of the context, which ``column`` holds."""
    if isinstance(context.scope(), context.AllTenants):
        return rows
    return rows.filter(**{column: context.current_tenant()})


def claim(row: models.Model) -> None:
    """Stamp a new row with the tenant of the context, or refuse a foreign one."""
    if isinstance(context.scope(), context.AllTenants):
        return
    tenant = context.current_tenant()
    stamped: UUID | None = getattr(row, "tenant_id", None)
    if stamped is None:
        row.tenant_id = tenant  # type: ignore[attr-defined]  # TenantOwned declares the column
    elif stamped != tenant:
        raise CrossTenantWriteError(f"{type(row).__name__} of tenant {stamped} under {tenant}")


class TenantOwned(models.Model):
    """A row of one tenant: UUIDv7 key, tenant column, fenced managers.

    Subclasses lead every index with ``tenant_id`` and protect their table in a migration with
    :class:`kernel.tenancy.operations.ProtectTenantTable`.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant_id = models.UUIDField(editable=False)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Write the row for the tenant of the context.

        Raises:
            CrossTenantWriteError: the row is another tenant's.
        """
        claim(self)
        super().save(*args, **kwargs)
