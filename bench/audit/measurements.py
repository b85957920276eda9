"""The measurements themselves. Times are milliseconds unless the name says otherwise."""

import random
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django.db import connections

from audit.models import Event, Head
from audit.queries import proofs
from audit.queries.events import filtered
from audit.registry import Action, Severity, registry
from audit.sealing import heads
from audit.sealing.checkpoints import issue
from audit.sealing.sealer import Sealer
from audit.services import Context, audited, record
from audit.services.buffer import write
from audit.services.entry import Draft, Entry, Target, build
from audit.tree.verify import check_inclusion
from audit.verification.run import verify
from kernel import db
from kernel.ids import new_id
from kernel.tenancy import across_tenants, tenant_context

ACTION = Action("bench.changed", Severity.INFO, "{actor} changed {target}")
CONTEXT = Context(
    "tenant_key", str(UUID(int=7)), "", "req_0123456789abcdef", "192.0.2.1", "bench/1"
)
BATCH = 500
registry.register(ACTION)


def cost(count: int) -> dict[str, Any]:
    """Compare a small update with and without its entry, in random order, pair by pair."""
    tenant, count = uuid4(), count or 2000
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_row")
        cursor.execute("CREATE TABLE bench_row (id int PRIMARY KEY, n bigint NOT NULL)")
        cursor.execute("INSERT INTO bench_row VALUES (1, 0)")
        cursor.execute("GRANT SELECT, UPDATE ON bench_row TO innkeeper_app")

    def change(number: int, *, recorded: bool) -> float:
        started = time.perf_counter()
        with audited():
            with db.cursor() as cursor:
                cursor.execute("UPDATE bench_row SET n = n + 1 WHERE id = 1")
            if recorded:
                _say(number)
        return (time.perf_counter() - started) * 1000

    plain, full = [], []
    with tenant_context(tenant):
        for number in range(100):
            change(number, recorded=True)
        for number in range(count):
            first = bool(random.getrandbits(1))
            pair = {first: change(number, recorded=first)}
            pair[not first] = change(number, recorded=not first)
            plain.append(pair[False])
            full.append(pair[True])
    added = [b - a for a, b in zip(plain, full, strict=True)]
    return {
        "pairs": count,
        "unaudited": _spread(plain),
        "audited": _spread(full),
        "added_p50": round(statistics.median(added), 3),
        "added_mean": round(statistics.fmean(added), 3),
        "added_p99": round(_spread(full)["p99"] - _spread(plain)["p99"], 3),
    }


def seal(count: int) -> dict[str, Any]:
    """Write 1,000 entries a second for some seconds beside a sealer; measure commit to sealed."""
    seconds, rate = count or 15, 1000
    tenants = [uuid4() for _ in range(20)]
    stop = threading.Event()
    sealing = threading.Thread(target=_seal_until, args=(stop,))
    sealing.start()
    writers = [
        threading.Thread(target=_write_steadily, args=(tenants[part::2], rate // 2, seconds))
        for part in range(2)
    ]
    started = time.monotonic()
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    elapsed = time.monotonic() - started
    stop.set()
    sealing.join()
    with db.use_alias("sealer"), across_tenants(), db.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM sealed.at - e.recorded_at) * 1000 FROM audit_event e "
            "JOIN audit_leaf l ON l.event_id = e.id JOIN bench_sealed sealed "
            "ON sealed.log_id = l.log_id AND l.leaf_index >= sealed.first "
            "AND l.leaf_index < sealed.past WHERE e.tenant_id = ANY (%s)",
            [tenants],
        )
        lags = [float(row[0]) for row in cursor.fetchall()]
    return {"entries": len(lags), "rate": round(len(lags) / elapsed), "lag": _spread(lags)}


def verify_rate(count: int) -> dict[str, Any]:
    """Verify one tenant's log of so many entries."""
    tenant = _filled(count or 100_000)
    report = verify(tenant)
    return {
        "entries": report.checked,
        "valid": report.valid,
        "seconds": round(report.seconds, 2),
        "per_second": round(report.checked / report.seconds),
    }


def proof(count: int) -> dict[str, Any]:
    """Prove random entries of a synthetic tree of so many leaves (default a million)."""
    size = count or 1_000_000
    tenant, events = _synthetic(size)
    times = []
    with tenant_context(tenant):
        head = Head.objects.get(stream=0)
        issue(head.log_id)
        for event in events:
            started = time.perf_counter()
            found = proofs.inclusion(Event.objects.get(id=event))
            times.append((time.perf_counter() - started) * 1000)
            assert found is not None
            check_inclusion(
                found.leaf_hash,
                index=found.index,
                size=found.published.size,
                path=found.path,
                root=found.published.root,
            )
    return {"leaves": size, "proofs": len(times), "time": _spread(times)}


def search(count: int) -> dict[str, Any]:
    """List and search one tenant among a thousand with so many entries (default 200,000)."""
    total = count or 200_000
    tenants = [uuid4() for _ in range(1000)]
    for start in range(0, total, BATCH):
        with db.use_alias("staff"), across_tenants(), db.atomic():
            write([_entry(tenants[(start + n) % 1000], start + n) for n in range(BATCH)])
    Sealer().drain()
    lists, searches = [], []
    for tenant in tenants[:300]:
        with tenant_context(tenant):
            lists.append(_timed(lambda: list(Event.objects.order_by("-id")[:51])))
            rows = filtered({"q": "thing7 changed"}, Event.objects.all())
            newest = rows.order_by("-id")[:51]
            searches.append(_timed(partial(list, newest)))
    return {"entries": total, "list": _spread(lists), "search": _spread(searches)}


ALL: dict[str, Callable[[int], dict[str, Any]]] = {
    "cost": cost,
    "seal": seal,
    "verify": verify_rate,
    "proof": proof,
    "search": search,
}


def _say(number: int) -> None:
    record(
        action=ACTION.name,
        target_type="thing",
        target_id=f"thing{number % 10}",
        before={"status": "active", "limit": number},
        after={"status": "suspended", "limit": number + 1},
        context=CONTEXT,
    )


def _entry(tenant: UUID, number: int) -> Entry:
    draft = Draft(
        action=ACTION,
        tenant_id=tenant,
        targets=[Target("thing", f"thing{number % 10}")],
        before={"status": "active", "limit": number},
        after={"status": "suspended", "limit": number + 1},
    )
    return build(draft, Context("tenant_key", "key_1", request_id="req_1"), origin="bench/audit")


def _filled(size: int) -> UUID:
    """Write and seal a tenant's log."""
    tenant = uuid4()
    for start in range(0, size, BATCH):
        with tenant_context(tenant), db.atomic():
            write([_entry(tenant, start + number) for number in range(BATCH)])
    Sealer().drain()
    return tenant


def _synthetic(size: int) -> tuple[UUID, list[UUID]]:
    """Make a log whose tree is real and of whose entries only three hundred exist."""
    tenant, chance = uuid4(), random.Random(1)  # noqa: S311 - a repeatable choice
    chosen = set(chance.sample(range(size), 300))
    now = time.time()
    events: dict[int, Entry] = {index: _entry(tenant, index) for index in sorted(chosen)}
    with tenant_context(tenant), db.atomic():
        write(list(events.values()))
    with db.use_alias("sealer"), across_tenants(), db.cursor() as cursor:
        cursor.execute("SELECT id, recorded_at FROM audit_event WHERE tenant_id = %s", [tenant])
        moments = dict(cursor.fetchall())
        moment = next(iter(moments.values()))
        with db.atomic():
            head = heads.begin(tenant, 0, 0)
            for start in range(0, size, 50_000):
                heads.extend(head, [
                    heads.Placed(events[n].id, moments[events[n].id], events[n].leaf_hash)
                    if n in events
                    else heads.Placed(new_id(), moment, n.to_bytes(32, "big"))
                    for n in range(start, min(start + 50_000, size))
                ])  # fmt: skip
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute("ANALYZE audit_leaf")
        cursor.execute("ANALYZE audit_node")
    assert time.time() > now
    return tenant, [entry.id for entry in events.values()]


def _seal_until(stop: threading.Event) -> None:
    """Seal like the worker, and note for each log and pass when its entries got their places."""
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_sealed")
        cursor.execute(
            "CREATE TABLE bench_sealed (log_id uuid, first bigint, past bigint, at timestamptz)"
        )
        cursor.execute("GRANT SELECT, INSERT ON bench_sealed TO innkeeper_sealer")
    sealer = Sealer()
    sizes: dict[UUID, int] = {}
    while not stop.is_set() or sealer.run_once().sealed:
        if sealer.run_once().sealed:
            _note(sizes)
        time.sleep(0.2)
    _note(sizes)
    connections.close_all()


def _note(sizes: dict[UUID, int]) -> None:
    with db.use_alias("sealer"), across_tenants(), db.cursor() as cursor:
        cursor.execute("SELECT log_id, size FROM audit_head")
        for log_id, size in cursor.fetchall():
            if size > sizes.get(log_id, 0):
                cursor.execute(
                    "INSERT INTO bench_sealed VALUES (%s, %s, %s, clock_timestamp())",
                    [log_id, sizes.get(log_id, 0), size],
                )
                sizes[log_id] = size


def _write_steadily(tenants: Sequence[UUID], rate: int, seconds: int) -> None:
    """Write one entry a transaction at a steady rate, an open loop: late ones are not left out."""
    started = time.perf_counter()
    for number in range(rate * seconds):
        due = started + number / rate
        if (ahead := due - time.perf_counter()) > 0:
            time.sleep(ahead)
        with tenant_context(tenants[number % len(tenants)]), audited():
            _say(number)
    connections.close_all()


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def _spread(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        f"p{part}": round(ordered[min(len(ordered) - 1, len(ordered) * part // 100)], 3)
        for part in (50, 95, 99)
    }
