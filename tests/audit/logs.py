"""Short ways to write and read a tenant's log in tests."""

from typing import Any
from uuid import UUID

from audit.services import Receipt, audited, record
from kernel import db
from kernel.tenancy import across_tenants, tenant_context
from tests.audit.superuser import disarmed


def change(name: str = "new", **facts: Any) -> Receipt:
    """Commit one audited change."""
    with audited():
        return say(name, **facts)


def say(name: str = "new", **facts: Any) -> Receipt:
    """Record one change in the open transaction."""
    defaults: dict[str, Any] = {
        "action": "sample.renamed",
        "target_type": "sample",
        "target_id": "smp_1",
        "before": {"name": "old"},
        "after": {"name": name},
    }
    return record(**defaults | facts)


def changes(tenant: UUID, count: int) -> list[Receipt]:
    """Commit a transaction of many entries for a tenant."""
    with tenant_context(tenant), audited():
        return [say(f"name {number}") for number in range(count)]


def rows(sql: str, *parameters: object, alias: str = "staff") -> list[tuple[Any, ...]]:
    """Read as another role, across tenants."""
    with db.use_alias(alias), across_tenants(), db.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def erased_before(tenant: UUID, person: str, values: int) -> None:
    """Erase as it was done before erasures said what they take."""
    with disarmed() as link:
        link.execute(
            "DELETE FROM audit_pii WHERE tenant_id = %s AND subject_id = %s", [tenant, person]
        )
    with audited():
        record(
            action="audit.pii.erased",
            target_type="subject",
            target_id=person,
            tenant_id=tenant,
            metadata={"values": values, "reach": "this log"},
        )
