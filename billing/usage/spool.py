"""The spool: each API request of a tenant as one line, on disk before the process may die.

A line is one ``write()`` to a file that this process alone appends to: it is in the kernel's page
cache when the call returns, so ``kill -9`` loses nothing and no request waits for a disk. Losing
power can cost the last lines; totals do not come from here but from the gate's own record.

The writer holds a shared lock on its file, which the system gives back when the process ends: a
file that the drainer can lock is complete. Who drains, and how once only: services/draining.py.
"""

import fcntl
import os
import threading
import time
from pathlib import Path
from typing import Final

import msgspec
import structlog
from django.conf import settings

from kernel.authz import PrincipalKind
from kernel.http.context import RequestContext
from kernel.ids import new_id

LARGEST: Final = 16 * 1024 * 1024
"""Bytes after which a process begins a new file."""
SUFFIX: Final = ".requests"
_log = structlog.get_logger("innkeeper.usage")
_encode: Final = msgspec.json.Encoder(uuid_format="hex").encode


class Line(msgspec.Struct, array_like=True):
    """What is kept of a request. Ids are hexadecimal, ``at`` is Unix time in microseconds."""

    tenant: str
    key: str
    at: int
    route: str
    method: str
    status: int
    duration_us: int
    bytes_out: int
    request_id: str


class Spool:
    """This process' file. Safe from several threads; a fork begins a file of its own."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._guard = threading.Lock()
        self._descriptor = -1
        self._process = 0
        self._size = 0

    def append(self, line: Line) -> None:
        """Write a line. A full disk is logged and costs the detail, never the request."""
        text = _encode(line) + b"\n"
        try:
            with self._guard:
                if self._process != os.getpid() or self._size + len(text) > LARGEST:
                    self._begin()
                written = os.write(self._descriptor, text)
                # A torn line must stay the last of its file.
                self._size = self._size + written if written == len(text) else LARGEST
        except OSError as error:
            _log.error("spool.write_failed", error=str(error))

    def close(self) -> None:
        """Give the file up to the drainer."""
        with self._guard:
            if self._process == os.getpid() and self._descriptor >= 0:
                os.close(self._descriptor)
            self._process, self._descriptor = 0, -1

    def _begin(self) -> None:
        if self._process == os.getpid():
            # Once only, even if no other opens: the number may be another file's by then.
            self._process, descriptor = 0, self._descriptor
            os.close(descriptor)
        directory = self._directory or directory_of_spool()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = directory / f"{new_id().hex}{SUFFIX}"
        # Named only once it is locked: a drainer takes an unlocked file for a dead process' one.
        unnamed = path.with_suffix(".new")
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(unnamed, flags, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        unnamed.rename(path)
        self._descriptor, self._process, self._size = descriptor, os.getpid(), 0


def directory_of_spool() -> Path:
    """Name the directory that all processes of this home share."""
    return Path(settings.INNKEEPER_HOME) / "spool"


_spool: Final = Spool()


def note_request(facts: RequestContext) -> None:
    """Spool a finished request of a tenant's key; a hook of kernel.http.hooks.finished.

    An operator's request is not its tenant's use, and no tenant's use is nobody's.
    """
    tenant_id, key_id = facts.tenant_id, facts.key_id
    if tenant_id is None or key_id is None or facts.principal_kind != PrincipalKind.TENANT_KEY:
        return
    _spool.append(
        Line(
            tenant_id.hex,
            key_id.hex,
            time.time_ns() // 1_000,
            facts.route,
            facts.method,
            facts.status,
            int(facts.elapsed_ms() * 1_000),
            facts.bytes_out,
            facts.request_id,
        )
    )
