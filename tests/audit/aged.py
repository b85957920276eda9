"""Entries of former months: what only a clock, or the database's superuser, can make."""

import json
from datetime import UTC, datetime
from uuid import UUID

from audit.models import Stream
from audit.origin import instance_origin
from audit.pruning.plan import cut
from audit.registry import registry
from audit.sealing.window import ALWAYS
from audit.services.context import Context
from audit.services.entry import Draft, Entry, Target, build
from audit.services.retention import Subject, keep_for
from kernel import db
from kernel.tenancy import across_tenants
from tests.audit.superuser import superuser

_INSERT = """
INSERT INTO audit_event (id, tenant_id, stream, recorded_at, occurred_at, action, actor_type,
  actor_id, on_behalf_of, target_type, target_id, outcome, request_id, leaf)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_PII = "INSERT INTO audit_pii (event_id, subject_id, tenant_id, doc) VALUES (%s, %s, %s, %s::jsonb)"


def month_of(age_days: int) -> datetime:
    """Return the begin of the month in which a day so many days ago lies."""
    return cut(age_days, datetime.now(UTC))


def partition(month: datetime) -> str:
    """Make the partition of a former month, as the month itself would have done."""
    name = f"audit_event_{month:%Y%m}"
    past = cut(-31, month)
    with superuser() as link:
        found = link.execute("SELECT to_regclass(%s)", [name]).fetchone()
        if found == (None,):
            link.execute("SET ROLE innkeeper_owner")
            link.execute(
                f"CREATE TABLE {name} PARTITION OF audit_event "
                f"FOR VALUES FROM ('{month:%Y-%m-%d} 00:00+00') TO ('{past:%Y-%m-%d} 00:00+00')"
            )
            link.execute(f"SELECT audit_adopt_partition('{name}')")
    return name


def aged(
    tenant: UUID,
    month: datetime,
    count: int,
    *,
    actor: str = "usr_old",
    email: str = "",
    stream: Stream = Stream.PLATFORM,
) -> list[Entry]:
    """Record entries of a tenant in a former month; the sealer finds them like any other."""
    partition(month)
    facts = {"actor": actor, "email": email, "stream": stream}
    made = [_entry(tenant, month, number, **facts) for number in range(count)]
    openings = [
        (entry.id, subject, tenant, json.dumps(doc))
        for entry in made
        for subject, doc in entry.openings.items()
    ]
    with superuser() as link, link.transaction(), link.cursor() as cursor:
        # After a restore the sealer believes no entry older than that.
        cursor.execute("UPDATE audit_sealer_state SET since = %s WHERE since > %s", [ALWAYS, month])
        cursor.executemany(_INSERT, [_row(entry, month) for entry in made])
        if openings:
            cursor.executemany(_PII, openings)
    return made


def _entry(
    tenant: UUID, month: datetime, number: int, *, actor: str, email: str, stream: Stream
) -> Entry:
    draft = Draft(
        action=registry.get("sample.renamed"),
        tenant_id=tenant,
        stream=stream,
        targets=[Target("sample", f"smp_{number}")],
        after={"name": f"old {number}", **({"email": email} if email else {})},
        subject_id=actor,
        occurred_at=month,
    )
    return build(draft, Context("user", actor), origin=instance_origin())


def _row(entry: Entry, month: datetime) -> list[object]:
    return [
        entry.id, entry.tenant_id, entry.stream, month, entry.occurred_at, entry.action,
        entry.actor_type, entry.actor_id, entry.on_behalf_of, entry.target_type, entry.target_id,
        entry.outcome, entry.request_id, entry.leaf,
    ]  # fmt: skip


def keep(tenant: UUID, days: int | None) -> None:
    """Set a tenant's rule in days; None keeps for ever."""
    with db.use_alias("staff"), across_tenants():
        keep_for(Subject(tenant_id=tenant), days)
