"""The log's own background work, run by the worker process."""

import threading
import time
from typing import Final

import structlog
from django.db import InterfaceError, OperationalError

from audit.pruning.run import prune
from audit.sealing import checkpoints, epochs, headslog, partitions
from audit.sealing.sealer import Sealer
from kernel import db
from kernel.errors import Conflict
from kernel.jobs import job

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
