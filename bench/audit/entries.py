"""What the measurements write, and how they read clocks. Times are milliseconds."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psycopg

from audit.origin import instance_origin
from audit.registry import Action, Severity, registry
from audit.sealing.sealer import Sealer
from audit.services import Context, record
from audit.services.buffer import write
from audit.services.entry import Draft, Entry, Target, build
from kernel import db
from kernel.postgres import Role, targets
from kernel.tenancy import across_tenants

ACTION: Final = Action("bench.changed", Severity.INFO, "{actor} changed {target}")
CONTEXT: Final = Context(
    "tenant_key", str(UUID(int=7)), "", "req_0123456789abcdef", "192.0.2.1", "bench/1"
)
"""As a request gives it: address and browser are two commitments with their openings."""
SYSTEM: Final = Context("system", request_id="req_0123456789abcdef")
BATCH: Final = 500
registry.register(ACTION)


def changes(number: int) -> dict[str, Any]:
    """What the numbered change says about itself."""
    return {
        "before": {"status": "active", "limit": number},
        "after": {"status": "suspended", "limit": number + 1},
    }


def say(number: int) -> UUID:
    """Record the numbered change in the open transaction; return the entry's id."""
    target = f"thing{number % 10}"
    return record(
        action=ACTION.name,
        target_type="thing",
        target_id=target,
        context=CONTEXT,
        **changes(number),
    ).event_id


def entry(tenant: UUID, number: int, context: Context = SYSTEM) -> Entry:
    """Make the entry of the numbered change."""
    target = Target("thing", f"thing{number % 10}")
    draft = Draft(action=ACTION, tenant_id=tenant, targets=[target], **changes(number))
    return build(draft, context, origin=instance_origin())


def load(tenants: Sequence[UUID], count: int, context: Context = SYSTEM) -> None:
    """Write so many entries, the tenants in turn, and seal them as they come."""
    sealer = Sealer()
    for start in range(0, count, BATCH):
        batch = range(start, min(start + BATCH, count))
        with db.use_alias("staff"), across_tenants(), db.atomic():
            write([entry(tenants[n % len(tenants)], n, context) for n in batch])
        if start // BATCH % 10 == 0:
            sealer.drain()
    sealer.drain()
    sealer.release()


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99."""
    ordered = sorted(values)
    return {
        f"p{part}": round(ordered[min(len(ordered) - 1, len(ordered) * part // 100)], 3)
        for part in (50, 95, 99)
    }


def timed(work: Callable[[], object]) -> float:
    """Return for how long the work ran."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


@dataclass
class Spent:
    """CPU of this process and of one backend, in microseconds."""

    client: float = 0.0
    server: float = 0.0

    def per(self, count: int) -> dict[str, float]:
        """Divide it by a number of operations."""
        return {
            "client_us": round(self.client / count, 1),
            "server_us": round(self.server / count, 1),
        }


@contextmanager
def metered(spent: Spent, pid: int) -> Iterator[None]:
    """Add what the block costs. The server's clock ticks every 10 ms: measure many at once."""
    client, server = time.process_time(), process_cpu(pid)
    yield
    spent.client += (time.process_time() - client) * 1e6
    spent.server += (process_cpu(pid) - server) * 1e6


def process_cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def backend() -> int:
    """Return the process of the current connection's backend; it must be this machine's."""
    with db.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def counted(work: Callable[[], object]) -> int:
    """Return how many statements of all roles the work runs, as PostgreSQL counts them."""
    before = _calls()
    work()
    after = _calls()
    return sum(after[key] - before.get(key, 0) for key in after) - 1  # less the count's own


def _calls() -> Mapping[tuple[Any, ...], int]:
    with _superuser() as link:
        rows = link.execute(
            "SELECT userid, dbid, queryid, calls FROM monitoring.pg_stat_statements "
            "WHERE toplevel AND query !~* '^(begin|commit)'"
        )
        return {tuple(row[:3]): row[3] for row in rows}


@contextmanager
def _superuser() -> Iterator[psycopg.Connection[Any]]:
    """Connect as the one role that sees what all the others do."""
    target = targets()[Role.OWNER].as_role(Role.BOOTSTRAP)
    with psycopg.connect(target.dsn(), autocommit=True) as link:
        yield link


def spent_by(work: Callable[[], object], times: int) -> dict[str, float]:
    """Return the CPU of one piece of work, here and in all backends: the cluster must be ours."""
    work()
    with _superuser() as link:
        pids = [row[0] for row in link.execute(
            "SELECT pid FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )]  # fmt: skip
    spent, before = Spent(), {pid: process_cpu(pid) for pid in pids}
    started = time.process_time()
    for _ in range(times):
        work()
    spent.client = (time.process_time() - started) * 1e6
    alive = [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    spent.server = sum(process_cpu(pid) - before[pid] for pid in alive) * 1e6
    return spent.per(times)
