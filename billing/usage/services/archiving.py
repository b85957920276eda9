"""Months of the ledger that nobody keeps any more: written out, read back, and only then dropped.

A month is one partition for all tenants, and plans keep events for different times. A tenant's
events leave when its own time is over; the partition goes with the last of them (docs/adr/0103).

Order of a step: close the month for the tenant (from then on its late events are refused), write
its events to a file, read the file back, remove rows and dedupe keys in one transaction that counts
them once more. Whatever dies in between is begun again: closing is for good, a file that was not
recorded is nobody's, rows go only with the record of a file that holds them.
"""

import gzip
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import orjson
from django.conf import settings
from psycopg import sql

from billing.usage.models import OPERATOR
from kernel import db, ports
from kernel.db import connection
from kernel.ids import new_id
from kernel.tenancy import across_tenants

PREFIX: Final = "billing_usage_event_"
UNATTRIBUTED: Final = "unattributed"
PATIENCE: Final = "2s"
"""How long closing or dropping may make the writers of an old month wait."""
_PIECE: Final = 1024 * 1024
_ROWS: Final = 2_000

_PARTITIONS: Final = """
SELECT c.relname FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid
WHERE inhparent = 'billing_usage_event'::regclass AND c.relname ~ '^billing_usage_event_[0-9]{6}$'
ORDER BY 1
"""
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
class Step:
    """What is due of one month: all of it, or the events of some tenants (None: of no tenant)."""

    month: date
    partition: str
    tenants: tuple[UUID | None, ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class Archived:
    """One file of the archive, and how many events it took out of the ledger."""

    month: date
    tenant_id: UUID | None
    file: Path
    events: int
    bytes: int


Say = Callable[[str], None]


def directory() -> Path:
    """Name the archive of this installation."""
    return Path(settings.INNKEEPER_HOME) / "archive" / "usage"


def due(today: date, months: Sequence[date] | None = None) -> list[Step]:
    """List what has outlived its plans' retention, oldest first; ``months`` narrows it."""
    steps = []
    with db.use_alias("owner"):
        for month, partition in _partitions():
            if months is None or month in months:
                step = _due(today, month, partition)
                if step is not None:
                    steps.append(step)
    return steps


def sort_strays(months: Sequence[date] | None = None) -> None:
    """Make partitions of past months whose events wait in the default one, so that they can go.

    ``months`` narrows it, as in :func:`due`.
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
    files: list[Archived] = []
    with db.use_alias("owner"), _alone(step.month) as free:
        if not free:
            return files
        _forget_unfinished(step.month)
        for closing in (OPERATOR,) if step.whole else _closable(step.tenants):
            _close(step, closing)
        for tenant in step.tenants:
            files.append(_take(step, tenant))
            say(f"{files[-1].file.name}: {files[-1].events} events, {files[-1].bytes} bytes")
        if step.whole:
            _drop(step)
            say(f"{step.partition}: dropped")
        _write_manifest(step.month)
    return files


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
            (directory() / file).unlink(missing_ok=True)


def _write_manifest(month: date) -> None:
    """Say beside the files of a month what they hold, as the database records it."""
    with db.cursor() as cursor:
        cursor.execute(_FILES, [month])
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    path = directory() / f"{month:%Y-%m}" / "manifest.json"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    content = {"month": month, "format": "ndjson+gzip", "files": rows}
    fresh.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    fresh.replace(path)
    _sync(path.parent)


def _closable(tenants: Sequence[UUID | None]) -> list[UUID]:
    """Leave out nobody's events: those who may still be found for them are not closed yet."""
    return [tenant for tenant in tenants if tenant is not None]


def _partitions() -> Iterator[tuple[date, str]]:
    """List the months that are partitions."""
    with db.cursor() as cursor:
        cursor.execute(_PARTITIONS)
        names = [str(row[0]) for row in cursor.fetchall()]
    for name in names:
        digits = name.removeprefix(PREFIX)
        yield date(int(digits[:4]), int(digits[4:]), 1), name


def _due(today: date, month: date, partition: str) -> Step | None:
    if _age(today, month) <= min(_retention().values()):
        return None
    present = _tenants(partition)
    with db.use_alias("staff"), across_tenants():
        plans = ports.plans().keys_of([tenant for tenant in present if tenant is not None])
    over = tuple(
        tenant
        for tenant in present
        if _age(today, month) > kept_for(plans.get(tenant) if tenant else None)
    )
    whole = len(over) == len(present) and _age(today, month) > max(_retention().values())
    return Step(month, partition, over, whole) if over or whole else None


def kept_for(plan: str | None) -> int:
    """Tell for how many whole months after its own a month stays; without a plan, the longest."""
    retention = _retention()
    return retention.get(plan or "", max(retention.values()))


def _retention() -> dict[str, int]:
    found: dict[str, int] = settings.INNKEEPER_USAGE_RETENTION
    return found


def _age(today: date, month: date) -> int:
    """Count the whole months between a month's end and today."""
    return (today.year - month.year) * 12 + today.month - month.month


def _tenants(partition: str) -> list[UUID | None]:
    with db.cursor() as cursor:
        cursor.execute(f'SELECT DISTINCT tenant_id FROM "{partition}" ORDER BY 1')  # noqa: S608 - from the catalogue
        return [row[0] for row in cursor.fetchall()]


def _close(step: Step, tenant_id: UUID) -> None:
    with db.atomic(), db.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [PATIENCE])
        cursor.execute(
            "SELECT billing_usage_close(%s, %s, %s)", [step.partition, tenant_id, step.month]
        )


def _take(step: Step, tenant_id: UUID | None) -> Archived:
    """Write one tenant's events out, read them back, and take them out of a month that stays."""
    name = UNATTRIBUTED if tenant_id is None else str(tenant_id)
    folder = directory() / f"{step.month:%Y-%m}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    record_id = new_id()
    path = folder / f"{name}.{record_id.hex}.ndjson.gz"
    written = _write(step.partition, tenant_id, path)
    if _read_back(path) != (written.events, written.content):
        raise ArchiveError(f"{path} does not hold what was written to it")
    digest = checksum(path)
    size = path.stat().st_size
    file = str(path.relative_to(directory()))
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
        _must_be(gone, int(cursor.fetchone()[0]), directory())


def _must_be(gone: int, written: int, path: Path) -> None:
    """Roll back unless exactly what was written goes.

    Raises:
        ArchiveError: the ledger has more or fewer events than the file.
    """
    if gone != written:
        raise ArchiveError(f"{path} holds {written} events and the ledger {gone}: nothing removed")


@dataclass(slots=True)
class _Written:
    events: int = 0
    content: str = ""
    first_at: datetime | None = None
    last_at: datetime | None = None


def _write(partition: str, tenant_id: UUID | None, path: Path) -> _Written:
    """Stream events into a compressed file, one JSON object a line, by time and order of ingest."""
    found, digest = _Written(), hashlib.sha256()
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as raw:
        with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, compresslevel=6) as file:
            for at, text in _events(partition, tenant_id):
                line = text.encode() + b"\n"
                file.write(line)
                digest.update(line)
                found.events += 1
                found.first_at = found.first_at or at
                found.last_at = at
        raw.flush()
        os.fsync(raw.fileno())
    _sync(path.parent)
    found.content = digest.hexdigest()
    return found


def _events(partition: str, tenant_id: UUID | None) -> Iterator[tuple[datetime, str]]:
    """Read a tenant's events of a month with a cursor of the server's: memory stays flat."""
    statement = sql.SQL(_EVENTS).format(sql.Identifier(partition))
    with db.atomic():
        wrapper = connection()
        wrapper.ensure_connection()
        with wrapper.connection.cursor(name="usage_archive") as cursor:
            cursor.itersize = _ROWS
            cursor.execute(statement, [tenant_id])
            yield from cursor


def _read_back(path: Path) -> tuple[int, str]:
    """Count a file's lines and digest its content, as decompressed from the disk."""
    lines, digest = 0, hashlib.sha256()
    with gzip.open(path, "rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            lines += piece.count(b"\n")
    return lines, digest.hexdigest()


def checksum(path: Path) -> str:
    """Digest a file as it lies on the disk, as ``sha256sum`` does.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
