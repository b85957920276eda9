"""Meter queries of all tenants side by side: an open loop over real HTTP, and all of them at once.

Every question spans the whole month with odd ends, so roll-ups and raw edges both take part. What
is compared with the 15 ms of the requirement is the open loop; `at_once` tells how long the last of
all tenants waits who ask in the same instant.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import Final
from urllib.parse import urlencode

from bench import processes
from bench.load import open_loop
from bench.load.open_loop import Plan, Stream
from bench.load.wire import json_request
from bench.systems.innkeeper import Innkeeper
from bench.systems.server import HOST
from bench.usage.loading import METERS, Month, Say

CONNECTIONS: Final = 100
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
    invalid: str | None


def run(system: Innkeeper, month: Month, *, rate: float, seconds: float, say: Say) -> Asked:
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
