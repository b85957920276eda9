"""The log's own background work, run by the worker process."""

import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError

from audit.exports import offboarding
from audit.pruning.run import prune
from audit.sealing import checkpoints, epochs, headslog, partitions
from audit.sealing.sealer import Sealer
from audit.verification.nightly import reconcile
from kernel import db
from kernel.errors import Conflict
from kernel.events.registry import Delivery
from kernel.ids import encode
from kernel.jobs import enqueue, job

POLL: Final = 0.2
"""Seconds between two looks for entries without a place."""
_BACKOFF: Final = 1.0
_log = structlog.get_logger("innkeeper.audit.sealer")


@job("audit.prune", max_attempts=3, cron="23 2 * * *")
def prune_nightly() -> None:
    """Prune what is beyond its retention. What had to wait for a lock is taken the next night."""
    try:
        done = prune()
    except Conflict:
        _log.info("pruning.runs_already")
        return
    _log.info("pruning.done", entries=done.entries, logs=len(done.steps), months=len(done.months))


@job("audit.reconcile", max_attempts=3, cron="41 3 * * *")
def reconcile_nightly() -> None:
    """Verify what every log has grown by since it was last found without fault, and tell faults."""
    damaged = reconcile()
    _log.info("logs.reconciled", damaged=len(damaged))


@job("audit.offboard", max_attempts=5)
def offboard_tenant(*, tenant_id: str, closed_at: str) -> None:
    """Write a closed tenant's whole log into INNKEEPER_HOME/audit-bundles, once for each closing.

    The operator hands the file over; what is stored stays until a rule or a command lets it go.
    """
    moment = datetime.fromisoformat(closed_at)
    name = f"{encode('ten', UUID(tenant_id))}-{moment:%Y%m%dT%H%M%S}.zip"
    path = Path(settings.INNKEEPER_HOME) / "audit-bundles" / name
    if path.exists():
        return
    with db.use_alias("default"):
        made = offboarding.write(UUID(tenant_id), path)
    _log.info("tenant.offboarded", tenant=tenant_id, file=name, entries=made.entries)


def on_tenant_closed(delivery: Delivery) -> None:
    """Ask for the file of a tenant that was closed; a subscriber of ``tenant.closed``."""
    with db.atomic():
        enqueue(
            offboard_tenant,
            tenant_id=str(delivery.tenant_id),
            closed_at=delivery.occurred_at.isoformat(),
        )


def run_sealer(stop: threading.Event) -> None:
    """Seal until told to stop. Several processes may run it: one leads, the others wait.

    Between passes it anchors the heads log once a minute and keeps partitions ahead. When the
    database goes away it tries again; nothing is lost, for nothing but the database says what is
    sealed.
    """
    loop = SealerLoop()
    try:
        while not stop.is_set():
            stop.wait(loop.step())
    finally:
        loop.close()


class SealerLoop:
    """One sealer and what is due beside it."""

    def __init__(self) -> None:
        self._sealer = Sealer()
        self._checked = False
        self._heads_due = 0.0
        self._partitions_due = 0.0

    def step(self) -> float:
        """Do what is due; return for how many seconds there is nothing to do."""
        try:
            return self._step()
        except (OperationalError, InterfaceError) as error:
            _log.warning("database.away", error=str(error).strip())
            self._forget_connection()
            return _BACKOFF

    def close(self) -> None:
        """Step down and give the connection back."""
        try:
            self._sealer.release()
        except (OperationalError, InterfaceError):
            _log.info("database.gone")
        self._forget_connection()

    def _step(self) -> float:
        if not self._sealer.lead():
            return _BACKOFF
        if not self._checked:
            for broken in epochs.find_broken():
                epochs.open_epoch(broken)
            self._checked = True
        done = self._sealer.run_once()
        now = time.monotonic()
        if now >= self._partitions_due:
            partitions.ensure()
            self._partitions_due = now + partitions.INTERVAL
        if now >= self._heads_due:
            self._publish()
            self._heads_due = now + headslog.INTERVAL
        return 0.0 if done.more else POLL

    def _publish(self) -> None:
        """Publish the heads log; what hinders it must not stop the sealing."""
        try:
            headslog.publish()
        except checkpoints.ForkRefusedError as error:
            _log.error("heads.forked", detail=error.detail)
            self._checked = False
        except OSError as error:
            _log.error("anchor.unwritable", error=str(error))

    def _forget_connection(self) -> None:
        self._checked = False
        with db.use_alias("sealer"):
            db.connection().close()
