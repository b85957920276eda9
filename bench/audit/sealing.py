"""How soon a committed entry is sealed while others are written at a steady rate."""

import subprocess
import sys
import time
from typing import Any
from uuid import UUID, uuid4

from django.db import connections

from audit.jobs import POLL
from audit.sealing.sealer import Pass, Sealer
from audit.services import audited
from bench.audit.entries import Spent, backend, metered, process_cpu, say, spread
from kernel import db
from kernel.tenancy import across_tenants, tenant_context

RATE = 1000
_WRITERS = 2
_TENANTS = 20
_RUN = 20
"""Entries that a writer commits for one tenant before it turns to the next."""


class WatchedSealer(Sealer):
    """Remembers which transaction gave places, and when it had committed."""

    def __init__(self) -> None:
        super().__init__()
        self.committed: dict[int, float] = {}
        self._transaction = 0

    def _index(self, grown: Any) -> bool:
        """Note the moment: the sealing transaction has just committed."""
        self.committed[self._transaction] = time.time()
        return super()._index(grown)

    def _seal(self) -> Any:
        found = super()._seal()
        with db.cursor() as cursor:
            cursor.execute(
                "SELECT pg_current_xact_id_if_assigned()::text::bigint % (1::bigint << 32)"
            )
            self._transaction = cursor.fetchone()[0] or 0
        return found


def seal(count: int) -> dict[str, Any]:
    """Write 1,000 entries a second for some seconds, each its own transaction, beside a sealer.

    Two processes write, this one seals as the worker does. The lag is counted from `recorded_at`,
    which is shortly before the commit, to the moment after the sealing commit.
    """
    seconds = count or 15
    tenants = [uuid4() for _ in range(_TENANTS)]
    sealer = WatchedSealer()
    sealer.drain()
    writers = [_writer(tenants[part::_WRITERS], seconds) for part in range(_WRITERS)]
    started, spent, passes = time.monotonic(), Spent(), 0
    with db.use_alias("sealer"):
        pid = backend()
    done = Pass(leading=True, more=True)
    with metered(spent, pid):
        while done.more or done.sealed or any(one.poll() is None for one in writers):
            done = sealer.run_once()
            passes += 1
            if not done.more:
                time.sleep(POLL)
    elapsed = time.monotonic() - started
    told = [line.split() for one in writers for line in one.communicate()[0].splitlines()]
    sealer.release()
    lags = _lags(tenants, sealer.committed)
    return {
        "entries": len(lags),
        "wanted": RATE * seconds,
        "rate": round(len(lags) / max(float(one[0]) for one in told)),
        "elapsed": round(elapsed, 1),
        "passes": passes,
        "lag": spread(lags),
        "sealing_cpu": spent.per(len(lags)),
        "writing_cpu": {
            "client_us": round(sum(float(one[1]) for one in told) / len(lags) * 1e6, 1),
            "server_us": round(sum(float(one[2]) for one in told) / len(lags) * 1e6, 1),
        },
    }


def write_steadily(tenants: list[UUID], rate: int, seconds: int) -> None:
    """Commit one entry a transaction at a steady rate, an open loop: late ones are not left out."""
    started, spent = time.perf_counter(), time.process_time()
    with tenant_context(tenants[0]):
        pid = backend()
    server = process_cpu(pid)
    for first in range(0, rate * seconds, _RUN):
        with tenant_context(tenants[first // _RUN % len(tenants)]):
            for number in range(first, first + _RUN):
                if (ahead := started + number / rate - time.perf_counter()) > 0:
                    time.sleep(ahead)
                with audited():
                    say(number)
    elapsed = time.perf_counter() - started
    told = (elapsed, time.process_time() - spent, process_cpu(pid) - server)
    sys.stdout.write(" ".join(f"{one:.3f}" for one in told) + "\n")
    connections.close_all()


def _writer(tenants: list[UUID], seconds: int) -> "subprocess.Popen[str]":
    """Start a writing process: it shares no interpreter lock with the sealer."""
    command = [sys.executable, "-m", "bench.audit", "write", "--count", str(seconds), "--tenants"]
    return subprocess.Popen([*command, *map(str, tenants)], stdout=subprocess.PIPE, text=True)


def writer(seconds: int, tenants: list[UUID]) -> None:
    """Be one of the writing processes."""
    write_steadily(tenants, RATE // _WRITERS, seconds)


def _lags(tenants: list[UUID], committed: dict[int, float]) -> list[float]:
    with db.use_alias("sealer"), across_tenants(), db.cursor() as cursor:
        cursor.execute(
            "SELECT l.xmin::text::bigint, extract(epoch FROM l.recorded_at)::float8 "
            "FROM audit_leaf l WHERE l.tenant_id = ANY (%s)",
            [tenants],
        )
        return [(committed[xid] - recorded) * 1000 for xid, recorded in cursor.fetchall()]
