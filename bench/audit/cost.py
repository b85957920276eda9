"""What an entry costs the change that writes it."""

import random
import statistics
import time
from typing import Any
from uuid import uuid4

from audit.services import audited
from bench.audit.entries import Spent, backend, metered, say, spread
from kernel import db
from kernel.tenancy import tenant_context

_TOGETHER = 200


def cost(count: int) -> dict[str, Any]:
    """Compare a small update with and without its entry: pair by pair, and by CPU in blocks."""
    count = count or 2000
    _prepare()
    plain, full = [], []
    with tenant_context(uuid4()):
        for number in range(100):
            change(number, recorded=True)
        for number in range(count):
            first = bool(random.getrandbits(1))
            pair = {first: change(number, recorded=first)}
            pair[not first] = change(number, recorded=not first)
            plain.append(pair[False])
            full.append(pair[True])
        cpu = _cpu(count)
    added = [b - a for a, b in zip(plain, full, strict=True)]
    return {
        "pairs": count,
        "unaudited": spread(plain),
        "audited": spread(full),
        "added_p50": round(statistics.median(added), 3),
        "added_mean": round(statistics.fmean(added), 3),
        "added_p99": round(spread(full)["p99"] - spread(plain)["p99"], 3),
        "cpu": {("audited" if kind else "unaudited"): one.per(count) for kind, one in cpu.items()},
    }


def change(number: int, *, recorded: bool) -> float:
    """Commit one change; return for how long it ran."""
    started = time.perf_counter()
    with audited():
        with db.cursor() as cursor:
            cursor.execute("UPDATE bench_row SET n = n + 1 WHERE id = 1")
        if recorded:
            say(number)
    return (time.perf_counter() - started) * 1000


def _cpu(count: int) -> dict[bool, Spent]:
    pid, spent = backend(), {False: Spent(), True: Spent()}
    for start in range(0, count, _TOGETHER):
        for kind in random.sample([False, True], 2):
            with metered(spent[kind], pid):
                for number in range(start, min(start + _TOGETHER, count)):
                    change(number, recorded=kind)
    return spent


def _prepare() -> None:
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_row")
        cursor.execute("CREATE TABLE bench_row (id int PRIMARY KEY, n bigint NOT NULL)")
        cursor.execute("INSERT INTO bench_row VALUES (1, 0)")
        cursor.execute("GRANT SELECT, UPDATE ON bench_row TO innkeeper_app")
