"""What the worker does for usage."""

import threading
from datetime import UTC, date, datetime
from typing import Final

import structlog
from django.db import DatabaseError
from django.db.utils import InterfaceError

from billing.usage.queries import retention
from billing.usage.services import (
    archiving,
    attributing,
    digesting,
    draining,
    partitions,
    recounting,
)
from billing.usage.spool import directory_of_spool
from kernel import db
from kernel.jobs import job

EVERY_S: Final = 1.0
"""How long a request's detail may wait in the spool."""
AFTER_FAILURE_S: Final = 5.0
DAILY_S: Final = 86_400.0
ATTRIBUTION_S: Final = 30.0
DIGESTS_S: Final = 60.0
_log = structlog.get_logger("innkeeper.usage")


def run_spool_drain(stop: threading.Event) -> None:
    """Drain the spool until ``stop`` is set. Several may run; each file has one reader at a time.

    While the database does not answer, lines wait in their files.
    """
    directory = directory_of_spool()
    while not stop.is_set():
        wait = EVERY_S
        try:
            draining.drain(directory)
        except (DatabaseError, InterfaceError, FileNotFoundError) as error:
            _log.warning("spool.drain_failed", error=str(error).strip())
            db.recover()
            wait = AFTER_FAILURE_S
        stop.wait(wait)


def run_recounts(stop: threading.Event) -> None:
    """Count back new and regrouped meters until ``stop`` is set. Any number of workers may."""
    while not stop.is_set():
        wait = EVERY_S
        try:
            recounting.recount_all()
        except (DatabaseError, InterfaceError) as error:
            _log.warning("recount.failed", error=str(error).strip())
            db.recover()
            wait = AFTER_FAILURE_S
        stop.wait(wait)


def run_partitions(stop: threading.Event) -> None:
    """Keep the months of the ledger ready until ``stop`` is set; looks once a day."""
    while not stop.is_set():
        wait = DAILY_S
        try:
            made = partitions.make_months()
            if made:
                _log.info("partitions.made", names=made)
        except (DatabaseError, InterfaceError) as error:
            _log.warning("partitions.failed", error=str(error).strip())
            db.recover()
            wait = AFTER_FAILURE_S
        stop.wait(wait)


def run_attribution(stop: threading.Event) -> None:
    """Give events without a tenant to the one that their subject has by now, until ``stop``."""
    while not stop.is_set():
        wait = ATTRIBUTION_S
        try:
            attributing.attribute_all()
        except (DatabaseError, InterfaceError) as error:
            _log.warning("attribution.failed", error=str(error).strip())
            db.recover()
            wait = AFTER_FAILURE_S
        stop.wait(wait)


def run_digests(stop: threading.Event) -> None:
    """Keep digests of days that are over until ``stop`` is set. Any number of workers may.

    Every minute those of changed days are made anew; new days are looked for at the start and
    whenever another one has become over.
    """
    looked: date | None = None
    while not stop.is_set():
        wait = DIGESTS_S
        try:
            over = (datetime.now(UTC) - digesting.PATIENCE).date()
            made = digesting.digest_changed(stop)
            if over != looked:
                made += digesting.digest_new(stop)
                looked = over
            if made:
                _log.info("digests.made", days=made)
        except (DatabaseError, InterfaceError) as error:
            _log.warning("digests.failed", error=str(error).strip())
            db.recover()
            wait = AFTER_FAILURE_S
        stop.wait(wait)


@job("usage.archive", cron="23 3 * * *")
def archive_months() -> None:
    """Archive and drop what has outlived its plans' retention. One worker does each month."""
    archiving.sort_strays()
    for step in retention.due(datetime.now(UTC).date()):
        files = archiving.archive(step)
        events = sum(file.events for file in files)
        _log.info("archive.written", month=str(step.month), files=len(files), events=events)
