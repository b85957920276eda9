"""One round of pruning: announce log by log, then rewrite month by month."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

import structlog
from django.db import OperationalError
from psycopg.errors import LockNotAvailable

from audit.pruning import plan
from audit.pruning.announce import announce
from audit.pruning.plan import Step
from audit.tree.proofs import TreeError
from kernel import db
from kernel.errors import Conflict
from kernel.tenancy import across_tenants

LOCK_KEY: Final = 0x5EA1_1000
"""Key of the advisory lock under which one round runs at a time."""
_log = structlog.get_logger("innkeeper.audit.pruning")


@dataclass(frozen=True, slots=True)
class Month:
    """What became of one month: entries kept, entries gone, entries that only a hold kept.

    `postponed` says why nothing happened: the lock of the swap was not to be had.
    """

    month: date
    kept: int = 0
    gone: int = 0
    held: int = 0
    postponed: str = ""


@dataclass(slots=True)
class Round:
    """What one round did, or would do."""

    steps: list[Step] = field(default_factory=list)
    months: list[Month] = field(default_factory=list)
    damaged: list[UUID] = field(default_factory=list)
    """Logs that lack hashes: nothing of them was pruned."""

    @property
    def entries(self) -> int:
        """Return how many entries were announced."""
        return sum(step.entries for step in self.steps)


def prune(
    tenant_id: UUID | None = None,
    *,
    whole: bool = False,
    dry_run: bool = False,
    now: datetime | None = None,
    progress: Callable[[Step | Month], None] = lambda _: None,
) -> Round:
    """Prune what the rules let go, of all tenants or of one.

    A round that was cut short is finished by the next one: what is announced and still there is
    dropped then.

    Args:
        tenant_id: only this tenant's logs are announced; months hold everybody's.
        whole: all of the tenant's ended months, whatever the rule says: for one who has left.
        dry_run: only say what would be announced.
        now: the time to judge by; the present unless given.
        progress: told every log that was announced and every month that was rewritten.

    Raises:
        kernel.errors.Conflict: another round runs (code ``audit_pruning_runs``).
    """
    at = now or datetime.now(UTC)
    done = Round()
    with db.use_alias("staff"), across_tenants(), _alone():
        found = plan.everything(tenant_id, at) if whole and tenant_id else plan.steps(tenant_id, at)
        for step in found:
            if not dry_run and not _announced(step, done):
                continue
            done.steps.append(step)
            progress(step)
        if not dry_run:
            for month in _pending():
                done.months.append(_drop(month))
                progress(done.months[-1])
    return done


def _announced(step: Step, done: Round) -> bool:
    try:
        announce(step)
    except TreeError as error:
        _log.error("pruning.refused", log=str(step.log.log_id), why=str(error))
        done.damaged.append(step.log.log_id)
        return False
    return True


def _pending() -> list[date]:
    with db.cursor() as cursor:
        cursor.execute("SELECT audit_pending_months()")
        return [row[0] for row in cursor.fetchall()]


def _drop(month: date) -> Month:
    try:
        with db.atomic(), db.cursor() as cursor:
            cursor.execute("SELECT kept, gone, held FROM audit_drop_month(%s)", [month])
            kept, gone, held = cursor.fetchone()
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        _log.warning("pruning.postponed", month=str(month), why=str(error).strip())
        return Month(month, postponed=str(error).strip().splitlines()[0])
    _log.info("month.pruned", month=str(month), kept=kept, gone=gone, held=held)
    return Month(month, kept, gone, held)


@contextmanager
def _alone() -> Iterator[None]:
    with db.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK_KEY])
        if not cursor.fetchone()[0]:
            raise Conflict("Another round of pruning runs.", code="audit_pruning_runs")
    try:
        yield
    finally:
        with db.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK_KEY])
