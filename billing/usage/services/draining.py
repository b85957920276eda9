"""Draining the spool: every line becomes one event of type ``innkeeper.request``, once.

How far a file is read stands in the database and moves in the transaction that writes its events:
whatever dies in between, the next drainer goes on at the right byte. The event id is the file and
the byte at which the line begins, so even a lost position could not count a line twice.
"""

import contextlib
import fcntl
import os
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
import structlog

from billing.usage.cloudevents import Event
from billing.usage.services.ingest import ingest_of_many
from billing.usage.spool import SUFFIX, Line
from kernel import db, ids
from kernel.tenancy import across_tenants

SOURCE: Final = "innkeeper/api"
TYPE: Final = "innkeeper.request"
LARGEST_READ: Final = 512 * 1024
"""Bytes of a file that one transaction takes."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_log = structlog.get_logger("innkeeper.usage")
_decode: Final = msgspec.json.Decoder(Line).decode


def drain(directory: Path) -> int:
    """Take everything that is in the spool now; return how many lines were new."""
    taken = 0
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        with contextlib.suppress(FileNotFoundError):  # another drainer has finished it
            taken += drain_file(path)
    return taken


def drain_file(path: Path) -> int:
    """Take one file as far as it goes, and remove it if its writer is gone.

    A file that another drainer is reading is left to it.
    """
    taken = 0
    with path.open("rb") as file:
        complete = _is_complete(file.fileno())
        while True:
            lines, more = _step(path.name, file.fileno())
            taken += lines
            if not more:
                break
    if complete and _finish(path):
        path.unlink(missing_ok=True)
    return taken


def _is_complete(descriptor: int) -> bool:
    """Tell whether nobody will append any more: its writer held a shared lock until it ended."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True


def _step(name: str, descriptor: int) -> tuple[int, bool]:
    """Take one piece in one transaction; tell how many were new, and whether more may follow."""
    with db.use_alias("staff"), across_tenants(), db.atomic():
        start = _claim(name)
        if start is None:
            return 0, False
        piece = os.pread(descriptor, LARGEST_READ, start)
        whole = piece[: piece.rfind(b"\n") + 1]
        if not whole:
            return 0, False
        lines = ingest_of_many(*_events(name, start, whole))
        with db.cursor() as cursor:
            cursor.execute(
                "UPDATE billing_usage_spool SET read_to = %s WHERE file = %s",
                [start + len(whole), name],
            )
    # Less than was asked for is all there was; what has come since is not worth a piece yet.
    return lines, len(piece) == LARGEST_READ


def _claim(name: str) -> int | None:
    """Lock a file's position; None while another drainer has it."""
    with db.cursor() as cursor:
        cursor.execute(
            "INSERT INTO billing_usage_spool (file) VALUES (%s) ON CONFLICT DO NOTHING", [name]
        )
        cursor.execute(
            "SELECT read_to FROM billing_usage_spool WHERE file = %s FOR UPDATE SKIP LOCKED", [name]
        )
        row = cursor.fetchone()
    return None if row is None else int(row[0])


def _finish(path: Path) -> bool:
    """Forget a file of which every whole line is taken. A torn last line is nobody's request."""
    size = path.stat().st_size
    with db.use_alias("staff"), across_tenants(), db.atomic():
        start = _claim(path.name)
        if start is None:
            return False
        with path.open("rb") as file:
            rest = os.pread(file.fileno(), size - start, start)
        if b"\n" in rest:
            return False
        with db.cursor() as cursor:
            cursor.execute("DELETE FROM billing_usage_spool WHERE file = %s", [path.name])
    return True


def _events(name: str, start: int, whole: bytes) -> tuple[list[UUID], list[Event]]:
    """Read lines into tenants and events; a line that is none of ours is logged and passed over."""
    tenants: list[UUID] = []
    events: list[Event] = []
    place = start
    for text in whole.splitlines(keepends=True):
        try:
            line = _decode(text)
            tenant_id, key = _uuid(line.tenant), _key(line.key)
        except (msgspec.DecodeError, ValueError) as error:
            _log.error("spool.line_unreadable", file=name, byte=place, error=str(error))
        else:
            tenants.append(tenant_id)
            events.append(_event(f"{name.removesuffix(SUFFIX)}:{place}", line, key))
        place += len(text)
    return tenants, events


@lru_cache(maxsize=4096)
def _uuid(text: str) -> UUID:
    return UUID(text)


@lru_cache(maxsize=4096)
def _key(text: str) -> str:
    return ids.encode("key", UUID(text))


def _event(event_id: str, line: Line, key: str) -> Event:
    data = {
        "route": line.route,
        "method": line.method,
        "status": line.status,
        "duration_ms": line.duration_us / 1_000,
        "bytes": line.bytes_out,
        "key": key,
        "request_id": line.request_id,
    }
    return Event(
        id=event_id,
        source=SOURCE,
        type=TYPE,
        subject=key,
        time=_EPOCH + timedelta(microseconds=line.at),
        data=msgspec.Raw(msgspec.json.encode(data)),
    )
