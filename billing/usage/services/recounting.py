"""Counting back: a meter's roll-ups from the ledger, day by day, beside running ingest.

A new meter, or one with new groups, is not ``ready``: its queries read raw events. When every day
is counted back it is, and queries read roll-ups. What a day lacks is added while ingest goes on; a
day that holds too much, by other groups than the meter's, is replaced, and ingest waits for that
(docs/adr/0149). Work that is interrupted begins again, which is harmless either way.
"""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db import OperationalError

from billing.usage.models import Meter
from kernel import db
from kernel.tenancy import across_tenants

PATIENCE: Final = "200ms"
"""How long a recount may make ingest of one tenant, type and day wait behind its own waiting."""
_BACKFILL: Final = "SELECT billing_usage_backfill(%s, %s, %s, %s)"
_RECOUNT: Final = "SELECT billing_usage_recount(%s, %s, %s, %s)"
_PAUSE_S: Final = 0.05
_log = structlog.get_logger("innkeeper.usage")
_WITNESSES: Final = """
SELECT virtualtransaction FROM pg_locks
WHERE relation = 'billing_meter'::regclass AND granted AND pid <> pg_backend_pid()
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_Values = list[UUID | datetime]
_DAYS: Final = """
SELECT DISTINCT tenant_id, (time AT TIME ZONE 'UTC')::date FROM billing_usage_measured
WHERE meter_id = %(meter)s
UNION
SELECT DISTINCT tenant_id, (bucket AT TIME ZONE 'UTC')::date FROM billing_usage_rollup
WHERE meter_id = %(meter)s
ORDER BY 2 DESC, 1
"""


def recount_all() -> int:
    """Count back every meter that is not ready; return how many became so."""
    with db.use_alias("staff"), across_tenants():
        waiting = list(Meter.visible().filter(ready=False))
        return sum(recount(meter) for meter in waiting)


def recount(meter: Meter) -> bool:
    """Count one meter back over all tenants and days, newest first; tell whether it is ready now.

    Runs across tenants (alias staff), outside any transaction. It is not ready if its groups were
    changed meanwhile, or if another worker has it in hand.
    """
    with db.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 15))", [str(meter.id)])
        if not cursor.fetchone()[0]:
            return False
    try:
        _wait_for_witnesses()
        days = _days(meter.id)
        for done, (tenant_id, day) in enumerate(days):
            _recount_day(meter.id, tenant_id, day)
            _note(meter, done + 1, len(days))
        return _finish(meter)
    finally:
        with db.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 15))", [str(meter.id)])


def _wait_for_witnesses() -> None:
    """Wait until every transaction that may have seen the meters as they were has ended.

    Ingest locks the table of meters before it takes its snapshot. Whoever holds no lock now will
    see the meter as it is, and count for it.
    """
    with db.cursor() as cursor:
        cursor.execute(_WITNESSES)
        waiting = {row[0] for row in cursor.fetchall()}
        while waiting:
            time.sleep(_PAUSE_S)
            cursor.execute(_WITNESSES)
            waiting &= {row[0] for row in cursor.fetchall()}


def _days(meter_id: UUID) -> list[tuple[UUID, date]]:
    with db.cursor() as cursor:
        cursor.execute(_DAYS, {"meter": meter_id})
        return list(cursor.fetchall())


def _recount_day(meter_id: UUID, tenant_id: UUID, day: date) -> None:
    """Add what a day lacks, or replace it where it holds too much."""
    midnight = datetime.combine(day, datetime.min.time(), UTC)
    whole: _Values = [meter_id, tenant_id, midnight, midnight + timedelta(days=1)]
    if not _giving_way(_BACKFILL, whole):
        _giving_way(_RECOUNT, whole)


def _giving_way(statement: str, values: _Values) -> object:
    """Run a statement in a transaction of its own, and anew where others hold it up for long."""
    while True:
        try:
            with db.atomic(), db.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [PATIENCE])
                cursor.execute(statement, values)
                return cursor.fetchone()[0]
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", "") != "55P03":
                raise
            _log.info("recount.gave_way", meter=str(values[0]), day=str(values[2]))
            time.sleep(_PAUSE_S * 10)


def _note(meter: Meter, done: int, days: int) -> None:
    Meter.objects.filter(id=meter.id).update(progress={"days": days, "done": done})


def _finish(meter: Meter) -> bool:
    """Let queries read the roll-ups, unless the groups are others by now."""
    changed = Meter.objects.filter(id=meter.id, ready=False, group_paths=meter.group_paths)
    return bool(changed.update(ready=True, progress={}))
