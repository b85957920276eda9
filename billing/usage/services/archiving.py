"""Months of the ledger that nobody keeps any more: written out, read back, and only then dropped.

A month is one partition for all tenants, and plans keep events for different times. A tenant's
events leave when its own time is over; the partition goes with the last of them (docs/adr/0103).

Order of a step: close the month for the tenant (from then on its late events are refused), write
its events to a file, read the file back, remove rows and dedupe keys in one transaction that counts
them once more. Whatever dies in between is begun again: closing is for good, a file that was not
recorded is nobody's, rows go only with the record of a file that holds them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from psycopg import sql

from billing.usage.models import OPERATOR
from billing.usage.queries.retention import Step
from billing.usage.services import archive_files as files
from kernel import db
from kernel.ids import new_id

UNATTRIBUTED: Final = "unattributed"
PATIENCE: Final = "2s"
"""How long closing or dropping may make the writers of an old month wait."""
_ROWS: Final = 2_000

_STRAYS: Final = """
SELECT DISTINCT billing_usage_month(time) FROM billing_usage_event_default
WHERE time < date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
  AND time >= '1900-01-01' ORDER BY 1
"""
_FILES: Final = """
SELECT file, tenant_id, events, bytes, sha256, first_at, last_at, written_at, removed_at
FROM billing_usage_archive WHERE month = %s ORDER BY id
"""
_EVENTS: Final = """
SELECT time, ((to_jsonb(event) - 'xid') || coalesce((
  SELECT jsonb_build_object('amendments', jsonb_agg(to_jsonb(amendment) ORDER BY amendment.id))
  FROM billing_usage_amendment AS amendment
  WHERE amendment.tenant_id = event.tenant_id AND amendment.event_seq = event.seq
  HAVING count(*) > 0), '{{}}'))::text
FROM {} AS event WHERE tenant_id IS NOT DISTINCT FROM %s ORDER BY time, seq
"""
_RECORD: Final = """
INSERT INTO billing_usage_archive
  (id, month, tenant_id, file, events, bytes, sha256, first_at, last_at, written_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, clock_timestamp())
"""


class ArchiveError(RuntimeError):
    """A file does not hold what was written to it; nothing was removed."""


@dataclass(frozen=True, slots=True)
class Archived:
    """One file of the archive, and how many events it took out of the ledger."""

    month: date
    tenant_id: UUID | None
    file: Path
    events: int
    bytes: int


Say = Callable[[str], None]


def sort_strays(months: Sequence[date] | None = None) -> None:
    """Make partitions of past months whose events wait in the default one, so that they can go.

    ``months`` narrows it, as in :func:`billing.usage.queries.retention.due`.
    """
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(_STRAYS)
        for (month,) in cursor.fetchall():
            if months is None or month in months:
                cursor.execute("SELECT billing_usage_make_month(%s)", [month])


def archive(step: Step, say: Say = lambda text: None) -> list[Archived]:
    """Take a step; give its files. Runs as the owner, outside any transaction.

    Raises:
        ArchiveError: a file could not be read back as it was written; nothing of it was removed.
        django.db.OperationalError: a lock was not to be had; what is done is done, begin again.
    """
    made: list[Archived] = []
    with db.use_alias("owner"), _alone(step.month) as free:
        if not free:
            return made
        _forget_unfinished(step.month)
        for closing in (OPERATOR,) if step.whole else _closable(step.tenants):
            _close(step, closing)
        for tenant in step.tenants:
            made.append(_take(step, tenant))
            say(f"{made[-1].file.name}: {made[-1].events} events, {made[-1].bytes} bytes")
        if step.whole:
            _drop(step)
            say(f"{step.partition}: dropped")
        files.write_manifest(step.month, _recorded(step.month))
    return made


@contextmanager
def _alone(month: date) -> Iterator[bool]:
    """Hold a month for the block; false while another process has it in hand."""
    key = f"usage archive {month}"
    with db.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 16))", [key])
        free = bool(cursor.fetchone()[0])
    try:
        yield free
    finally:
        if free:
            with db.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 16))", [key])


def _forget_unfinished(month: date) -> None:
    """Forget files of an attempt that ended before the events went: these are written anew."""
    with db.cursor() as cursor:
        cursor.execute(
            "DELETE FROM billing_usage_archive WHERE month = %s AND removed_at IS NULL"
            " RETURNING file",
            [month],
        )
        for (file,) in cursor.fetchall():
            (files.directory() / file).unlink(missing_ok=True)


def _recorded(month: date) -> list[dict[str, Any]]:
    """Read what the files of a month hold, as the database records it."""
    with db.cursor() as cursor:
        cursor.execute(_FILES, [month])
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _closable(tenants: Sequence[UUID | None]) -> list[UUID]:
    """Leave out nobody's events: those who may still be found for them are not closed yet."""
    return [tenant for tenant in tenants if tenant is not None]


def _close(step: Step, tenant_id: UUID) -> None:
    with db.atomic(), db.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [PATIENCE])
        cursor.execute(
            "SELECT billing_usage_close(%s, %s, %s)", [step.partition, tenant_id, step.month]
        )


def _take(step: Step, tenant_id: UUID | None) -> Archived:
    """Write one tenant's events out, read them back, and take them out of a month that stays."""
    name = UNATTRIBUTED if tenant_id is None else str(tenant_id)
    record_id = new_id()
    path = files.folder_of(step.month) / f"{name}.{record_id.hex}.ndjson.gz"
    written = files.write(path, _events(step.partition, tenant_id))
    if files.read_back(path) != (written.events, written.content):
        raise ArchiveError(f"{path} does not hold what was written to it")
    digest = files.checksum(path)
    size = path.stat().st_size
    file = str(path.relative_to(files.directory()))
    with db.atomic(), db.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [PATIENCE])
        cursor.execute(
            _RECORD,
            [
                record_id, step.month, tenant_id, file, written.events, size, digest,
                written.first_at, written.last_at,
            ],
        )  # fmt: skip
        if not step.whole:
            cursor.execute("SELECT billing_usage_remove(%s, %s)", [step.partition, tenant_id])
            _must_be(int(cursor.fetchone()[0]), written.events, path)
            cursor.execute(
                "UPDATE billing_usage_archive SET removed_at = clock_timestamp() WHERE id = %s",
                [record_id],
            )
    return Archived(step.month, tenant_id, path, written.events, size)


def _drop(step: Step) -> None:
    with db.atomic(), db.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [PATIENCE])
        cursor.execute("SELECT billing_usage_drop_month(%s)", [step.partition])
        gone = int(cursor.fetchone()[0])
        cursor.execute(
            "WITH done AS (UPDATE billing_usage_archive SET removed_at = clock_timestamp()"
            " WHERE month = %s AND removed_at IS NULL RETURNING events)"
            " SELECT coalesce(sum(events), 0) FROM done",
            [step.month],
        )
        _must_be(gone, int(cursor.fetchone()[0]), files.directory())


def _must_be(gone: int, written: int, path: Path) -> None:
    """Roll back unless exactly what was written goes.

    Raises:
        ArchiveError: the ledger has more or fewer events than the file.
    """
    if gone != written:
        raise ArchiveError(f"{path} holds {written} events and the ledger {gone}: nothing removed")


def _events(partition: str, tenant_id: UUID | None) -> Iterator[tuple[datetime, str]]:
    """Read a tenant's events of a month with a cursor of the server's: memory stays flat."""
    statement = sql.SQL(_EVENTS).format(sql.Identifier(partition))
    with db.atomic():
        wrapper = db.connection()
        wrapper.ensure_connection()
        with wrapper.connection.cursor(name="usage_archive") as cursor:
            cursor.itersize = _ROWS
            cursor.execute(statement, [tenant_id])
            yield from cursor
