"""Ask meters of all tenants over a month of usage: an open loop over HTTP, and all at once.

A million events, loaded over HTTP by each tenant's own key, take some minutes.
Every question spans the whole month with odd ends, so roll-ups and raw edges both take part. What
is compared with the 15 ms of the requirement is the open loop; `at_once` tells how long the last of
all tenants waits who ask in the same instant.
"""

import argparse
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Any, Final
from urllib.parse import urlencode

from bench import processes
from bench.load import open_loop
from bench.load.open_loop import Plan, Stream
from bench.load.wire import json_request
from bench.systems import innkeeper
from bench.systems.innkeeper import Innkeeper
from bench.systems.server import HOST
from bench.usage import victims
from bench.usage.loading import METERS, Month, load

CONNECTIONS: Final = 100
PATIENCE_S: Final = 900.0
_OUTDATED: Final = """
SELECT count(*) FROM billing_usage_outdated
WHERE day < ((now() - interval '4 hours') AT TIME ZONE 'UTC')::date
"""
MOST: Final = 100
"""How many customers and features one call names."""
CALLS: Final = 11
QUESTIONS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "total": ("bench_sum", {}),
    "days_by_region": (
        "bench_sum",
        {"windowSize": "DAY", "windowTimeZone": "Europe/Berlin", "groupBy": "region"},
    ),
    "unique": ("bench_unique", {}),
    "p95": ("bench_p95", {}),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Latencies in milliseconds by question; CPU milliseconds a query, server and database."""

    loaded_per_second: float
    rate: float
    latencies: dict[str, dict[str, float]]
    cpu_ms_a_query: float
    at_once_seconds: float
    access_seconds: dict[str, float]
    invalid: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take the size of the month and how it is asked."""
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--tenants", type=int, default=100)
    parser.add_argument("--rate", type=float, default=40.0, help="queries a second, all tenants")
    parser.add_argument("--seconds", type=float, default=30.0)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Start a system, load the month, ask."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="innkeeper-query-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o711)  # the database's account passes through
        system = innkeeper.start(folder)
        stack.callback(system.server.close)
        month = load(system, options.tenants, options.events, say)
        wait_for_digests(system)
        asked = ask(system, month, rate=options.rate, seconds=options.seconds)
    return {"events": options.events, "tenants": options.tenants, **asdict(asked)}


def wait_for_digests(system: Innkeeper) -> None:
    """Wait until the worker has told the days that are over in digests, as it has on any other day.

    Raises:
        RuntimeError: it is not done in time.
    """
    deadline = monotonic() + PATIENCE_S
    with victims.owner(system.home) as link:
        while link.execute(_OUTDATED).fetchone() != (0,):
            if monotonic() > deadline:
                raise RuntimeError(f"days are without digests after {PATIENCE_S:.0f} s")
            sleep(1.0)
        link.execute("VACUUM (ANALYZE) billing_usage_digest, billing_usage_digested")


def ask(system: Innkeeper, month: Month, *, rate: float, seconds: float) -> Asked:
    """Ask every question of every tenant in turn at a steady total rate, then all at once.

    Raises:
        RuntimeError: an answer was none of 200, or the generator failed.
    """
    assert {slug for slug, _ in QUESTIONS.values()} <= {meter["slug"] for meter in METERS}
    streams = tuple(
        Stream(
            name,
            rate / len(QUESTIONS),
            tuple(
                json_request("GET", f"/api/v1/meters/{slug}/query?{_query(month, more)}", guest.key)
                for guest in month.guests
            ),
        )
        for name, (slug, more) in QUESTIONS.items()
    )
    plan = Plan(HOST, system.server.port, streams, seconds, warm_up=5.0, connections=CONNECTIONS)
    say(f"{rate:g} queries a second for {seconds:g} s")
    before = _cpu(system)
    result = open_loop.run(plan)
    asked = sum(sum(stream.statuses.values()) for stream in result.streams.values())
    cpu = (_cpu(system) - before) * 1000 / max(asked * (seconds + 5.0) / seconds, 1)
    for name, stream in result.streams.items():
        if set(stream.statuses) != {200} or stream.broken or stream.timed_out:
            raise RuntimeError(f"{name}: {stream.statuses}, {stream.broken} broken")
    latencies = {name: _spread(stream) for name, stream in result.streams.items()}
    return Asked(
        month.events_per_second,
        rate,
        latencies,
        round(cpu, 2),
        round(_at_once(system, month), 3),
        _access(system, month),
        result.invalid,
    )


def _query(month: Month, more: dict[str, str]) -> str:
    ends = {"from": _text(month.start), "to": _text(month.end)}
    return urlencode(ends | more)


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _spread(stream: open_loop.StreamResult) -> dict[str, float]:
    found = {f"p{part}": round(stream.percentile(part / 100), 2) for part in (50, 95, 99)}
    return {**found, "asked": len(stream.latencies)}


def _cpu(system: Innkeeper) -> float:
    return processes.cpu_seconds(*system.server.roots)


def _at_once(system: Innkeeper, month: Month) -> float:
    """All tenants ask for their total in the same instant: seconds until the last has it."""
    path = f"/api/v1/meters/bench_sum/query?{_query(month, {})}"
    with ThreadPoolExecutor(len(month.guests)) as pool:
        began = perf_counter()
        list(pool.map(lambda guest: system.call("GET", path, tenant=guest.id), month.guests))
        return perf_counter() - began


def _access(system: Innkeeper, month: Month) -> dict[str, float]:
    """Values of up to 100 customers times 100 features in one call: the first time and the median.

    The shipped features, filled up with names that no plan grants.
    """
    known = [feature["key"] for feature in system.call("GET", "/api/v1/features")]
    names = [*known, *(f"no_feature_{number}" for number in range(MOST))][:MOST]
    body = {"customers": [guest.id for guest in month.guests][:MOST], "features": names}
    taken = []
    for _ in range(CALLS):
        began = perf_counter()
        found = system.call("POST", "/api/v1/access/query", body)
        taken.append(perf_counter() - began)
        assert len(found["customers"]) == len(body["customers"])
    return {"first": round(taken[0], 3), "p50": round(sorted(taken)[CALLS // 2], 3)}


def say(words: str) -> None:
    """Tell the person who waits."""
    sys.stderr.write(f"{words}\n")
