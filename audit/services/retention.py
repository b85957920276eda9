"""Rules of retention: how long entries are kept, by tenant, by plan, for everybody."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from audit.actions import RETENTION_CHANGED
from audit.models import PLATFORM_TENANT
from audit.services.recording import audited, record
from kernel import db
from kernel.errors import Invalid
from kernel.ids import TENANT, encode

SHORTEST = 1
LONGEST = 36_500
_LONGEST_PLAN = 100


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose entries a rule concerns.

    A tenant's; those of all tenants on a plan; with the plan ``*`` those of every tenant without a
    nearer rule; with neither the instance's own log.
    """

    tenant_id: UUID = PLATFORM_TENANT
    plan: str = ""

    @property
    def shown(self) -> str:
        """Name it as entries do."""
        if self.plan:
            return f"plan:{self.plan}"
        return encode(TENANT, self.tenant_id) if self.tenant_id != PLATFORM_TENANT else "instance"


def keep_for(subject: Subject, days: int | None, *, reason: str = "") -> None:
    """Keep the entries of a subject for so many days; None keeps them for ever.

    What is older goes with the next round of pruning, whole months at a time. Runs as staff.

    Raises:
        kernel.errors.Invalid: days beyond 1 to 36,500 (``/days``), or a tenant and a plan at once.
    """
    if days is not None and not SHORTEST <= days <= LONGEST:
        raise Invalid(f"{SHORTEST} to {LONGEST} days, or null for ever.", pointer="/days")
    if subject.plan and subject.tenant_id != PLATFORM_TENANT:
        raise Invalid("Name a tenant or a plan, not both.", pointer="/plan")
    if len(subject.plan) > _LONGEST_PLAN:
        raise Invalid("No such plan.", pointer="/plan")
    with audited():
        before = _stored(subject)
        with db.cursor() as cursor:
            cursor.execute(
                "INSERT INTO audit_retention (tenant_id, plan, days) VALUES (%s, %s, %s) "
                "ON CONFLICT (tenant_id, plan) DO UPDATE "
                "SET days = excluded.days, updated_at = clock_timestamp()",
                [subject.tenant_id, subject.plan, days],
            )
        _tell(subject, before, {"days": days}, reason)


def follow(subject: Subject, *, reason: str = "") -> bool:
    """Take a rule away, so that the next wider one holds; tell whether there was one."""
    with audited():
        before = _stored(subject)
        if before is None:
            return False
        with db.cursor() as cursor:
            cursor.execute(
                "DELETE FROM audit_retention WHERE tenant_id = %s AND plan = %s",
                [subject.tenant_id, subject.plan],
            )
        _tell(subject, before, None, reason)
    return True


def _stored(subject: Subject) -> dict[str, Any] | None:
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT days FROM audit_retention WHERE tenant_id = %s AND plan = %s FOR UPDATE",
            [subject.tenant_id, subject.plan],
        )
        row = cursor.fetchone()
    return {"days": row[0]} if row else None


def _tell(
    subject: Subject, before: dict[str, Any] | None, after: dict[str, Any] | None, reason: str
) -> None:
    record(
        action=RETENTION_CHANGED.name,
        target_type="audit_retention",
        target_id=subject.shown,
        tenant_id=subject.tenant_id,
        before=before,
        after=after,
        reason=reason,
    )
