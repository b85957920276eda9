"""Drill: the worker that streams a log to a receiver is killed in the middle, again and again.

Then the receiver's file is held against the log: nothing is lost, the order is kept, and what came
twice is the batch that was under way (docs/audit.md, "Streams").
"""

import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final, Protocol
from unittest.mock import patch
from uuid import UUID, uuid4

from audit.sealing.sealer import Sealer
from audit.services import audited
from audit.streams import delivery, dispatcher, services
from audit.streams.services import NewStream
from bench.audit import children
from bench.audit.entries import say
from kernel import db
from kernel.acting import as_system
from kernel.authz import SYSTEM, set_principal
from kernel.tenancy import across_tenants, tenant_context

_SMALL_BATCH: Final = 8
_LAST_BREATH_S: Final = 0.02
"""How long a batch lies with the receiver unanswered: the moment in which a kill doubles it."""
_WORKER: Final = ("-P", "-m", "django", "worker", "--only", "audit-streams")


class Victim(Protocol):
    """A process that streams."""

    def kill(self) -> object:
        """End it without warning."""


@dataclass
class Worker:
    """The real worker, as ``manage.py worker --only audit-streams``."""

    process: subprocess.Popen[bytes] = field(
        default_factory=lambda: subprocess.Popen(
            [sys.executable, *_WORKER], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    )

    def kill(self) -> int:
        """Kill and collect it."""
        self.process.send_signal(signal.SIGKILL)
        return self.process.wait()


def streamed(count: int) -> dict[str, Any]:
    """Kill the real worker so many times (default 20) while it sends batches of 500."""
    return kill(Worker, count or 20, delivery.MOST_ENTRIES)


def small_streamed(count: int) -> dict[str, Any]:
    """Kill the worker's service, in processes of its own, while it sends batches of 8."""
    return kill(lambda: children.start(_stream), count or 3, _SMALL_BATCH)


def kill(start: Callable[[], Victim], times: int, batch: int) -> dict[str, Any]:
    """Let the victim stream and kill it: when a batch has arrived unanswered, or at random.

    Raises:
        RuntimeError: the receiver lacks an entry, has another order, or more than once what was
            answered.
    """
    tenant = uuid4()
    with tempfile.TemporaryDirectory(prefix="innkeeper-siem-") as folder:
        kept = Path(folder) / "kept"
        kept.touch()
        server = HTTPServer(("127.0.0.1", 0), _handler(kept))
        receiver = children.start(server.serve_forever)
        url = f"http://localhost:{server.server_address[1]}/"
        server.server_close()
        stream = UUID(children.run(partial(_prepare, tenant, url, batch * 3 * (times + 1))))
        for place in range(times):
            victim = start()
            children.eventually(partial(_has_grown, kept, kept.stat().st_size))
            if place % 2:
                # Not only at the one place that the wait above finds: anywhere in some batches.
                time.sleep(random.uniform(0, 5 * _LAST_BREATH_S))  # noqa: S311 - a drill, no secret
            victim.kill()
            children.run(partial(_expire, stream))
        last = start()
        size = children.run(partial(_drained, stream, tenant))
        last.kill()
        receiver.kill()
        return {"killed": times, **_account(kept.read_text(), size, times)}


def _has_grown(kept: Path, before: int) -> bool:
    return kept.stat().st_size > before


def _handler(kept: Path) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Keeps each batch on one line before it answers, and is slow to answer."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            lines = b",".join(line for line in body.splitlines() if line)
            with kept.open("ab") as file:
                file.write(b"[" + lines + b"]\n")
            time.sleep(_LAST_BREATH_S)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def log_error(self, *_: object) -> None:
            """The sender may die before the answer."""

    return Handler


def _stream() -> None:
    """Be the worker's service, with small batches."""
    with patch.object(delivery, "MOST_ENTRIES", _SMALL_BATCH):
        dispatcher.run_streams(threading.Event())


def _prepare(tenant: UUID, url: str, count: int) -> str:
    """Make a stream and seal entries for it."""
    set_principal(SYSTEM)
    with tenant_context(tenant):
        made = services.create(NewStream(name="drill", kind="webhook", url=url, scope="platform"))
        for _ in range(0, count, 500):
            with audited():
                for number in range(min(count, 500)):
                    say(number)
    sealer = Sealer()
    children.eventually(sealer.lead)
    sealer.drain()
    sealer.release()
    return str(made.stream.id)


def _expire(stream: UUID) -> None:
    """Let the dead one's lease run out, which takes 90 s otherwise."""
    with as_system(), db.cursor() as cursor:
        cursor.execute(
            "UPDATE audit_stream_state SET leased_until = clock_timestamp() WHERE stream_id = %s",
            [stream],
        )


def _drained(stream: UUID, tenant: UUID) -> int:
    """Wait until all is sent; return the log's size."""
    query = (
        "SELECT h.size, h.size = c.next_index FROM audit_head h LEFT JOIN audit_stream_cursor c "
        "ON c.log_id = h.log_id AND c.stream_id = %s WHERE h.tenant_id = %s AND h.stream = 0"
    )

    def state() -> tuple[int, bool]:
        with db.use_alias("staff"), across_tenants(), db.cursor() as cursor:
            cursor.execute(query, [stream, tenant])
            size, is_sent = cursor.fetchone()
        return int(size), bool(is_sent)

    children.eventually(lambda: state()[1])
    return state()[0]


def _account(kept: str, size: int, kills: int) -> dict[str, Any]:
    """Go through the batches as they came. Each goes on, or is the one before it once more."""
    begun = reached = again = 0
    entries: dict[str, int] = {}
    batches = [json.loads(line) for line in kept.splitlines()]
    for batch in batches:
        told = [one for one in batch if "leaf_index" in one]
        places = [one["leaf_index"] for one in told]
        if places != list(range(places[0], places[0] + len(places))):
            raise RuntimeError(f"a batch has a gap: {places}")
        if places[0] == begun and places[0] != reached:
            again += 1
        elif places[0] != reached:
            raise RuntimeError(f"a batch begins at {places[0]}, {reached} came before it")
        begun, reached = places[0], places[-1] + 1
        for one in told:
            if entries.setdefault(one["id"], one["leaf_index"]) != one["leaf_index"]:
                raise RuntimeError(f"{one['id']} came with two places")
    if list(entries.values()) != list(range(size)):
        raise RuntimeError(f"{len(entries)} entries came of {size}")
    if again > kills:
        raise RuntimeError(f"{again} batches came again after {kills} kills")
    return {"batches": len(batches), "again": again, "entries": len(entries), "size": size}
