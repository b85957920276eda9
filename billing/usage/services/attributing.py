"""Giving earlier events of the operator to the tenant whose subject they turned out to concern."""

from collections import defaultdict
from datetime import date
from typing import Final
from uuid import UUID

import structlog
from django.db import OperationalError

from billing.usage.services.recounting import PATIENCE
from kernel import db, ids
from kernel.tenancy import across_tenants

_log = structlog.get_logger("innkeeper.usage")
_STRAYS: Final = "SELECT DISTINCT subject FROM billing_usage_event WHERE tenant_id IS NULL"
_TENANTS: Final = "SELECT billing_usage_tenants(%s, %s::uuid[])"
_PLACES: Final = """
SELECT DISTINCT type, (time AT TIME ZONE 'UTC')::date FROM billing_usage_event AS event
WHERE tenant_id IS NULL AND subject = ANY (%s)
  AND NOT EXISTS (SELECT FROM billing_usage_closed AS closed
                   WHERE closed.tenant_id = %s AND closed.month = billing_usage_month(event.time))
ORDER BY 2, 1
"""


def attribute_all() -> int:
    """Find a tenant for events that have none, now that their subject has one.

    Ledger, roll-ups and quotas of one type and day change in one transaction. Returns how many
    events found their tenant.
    """
    with db.use_alias("staff"), across_tenants():
        found = 0
        for tenant_id, subjects in _known().items():
            for kind, day in _places(subjects, tenant_id):
                found += _attribute(subjects, tenant_id, kind, day)
        return found


def _attribute(subjects: list[str], tenant_id: UUID, kind: str, day: date) -> int:
    """Give away the events of a type and day, unless ingest has them in hand for long.

    Reports of that tenant, type and day queue behind our own waiting, so it is short; the next pass
    takes what this one had to leave.
    """
    try:
        with db.atomic(), db.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [PATIENCE])
            cursor.execute(
                "SELECT billing_usage_attribute(%s, %s, %s, %s)", [subjects, tenant_id, kind, day]
            )
            return int(cursor.fetchone()[0])
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != "55P03":
            raise
        _log.info("attribution.gave_way", type=kind, day=str(day))
        return 0


def _known() -> dict[UUID, list[str]]:
    """Look up the tenants of all subjects of events without one."""
    with db.cursor() as cursor:
        cursor.execute(_STRAYS)
        subjects = [row[0] for row in cursor.fetchall()]
        cursor.execute(
            _TENANTS, [subjects, [ids.read(ids.TENANT, subject) for subject in subjects]]
        )
        tenants = cursor.fetchone()[0] or []
    known: dict[UUID, list[str]] = defaultdict(list)
    for subject, tenant_id in zip(subjects, tenants, strict=True):
        if tenant_id is not None:
            known[tenant_id].append(subject)
    return known


def _places(subjects: list[str], tenant_id: UUID) -> list[tuple[str, date]]:
    """List types and days with events to give away, but for months closed to the tenant."""
    with db.cursor() as cursor:
        cursor.execute(_PLACES, [subjects, tenant_id])
        return list(cursor.fetchall())
