"""Report millions of events, and watch the memory of the serving processes: it does not grow."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import workloads
from bench.load import closed_loop
from bench.load.wire import Request
from bench.systems import innkeeper
from bench.usage import victims

FLAT_BYTES = 64
"""Bytes that an event may leave behind in a serving process, fitted over the run."""
WARM = 0.2
"""Share of the run after which a process has what it keeps for good."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take how many events, how sent."""
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--batch", type=int, default=1_000)
    parser.add_argument("--connections", type=int, default=16)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Send until enough were taken; compare memory at the ends."""
    folder = Path(tempfile.mkdtemp(prefix="innkeeper-memory-", dir="/tmp"))
    folder.chmod(0o711)  # the database's account passes through
    ours = innkeeper.start(folder)
    try:
        guests = ours.guests(8, "enterprise", {"daily": None, "burst": None})
        batch = options.batch
        requests: tuple[Request, ...] = (
            workloads.ingest(guests) if batch == 1 else workloads.ingest_batch(guests, batch)
        )
        points: list[tuple[int, int]] = []
        taken = seconds = 0.0
        while taken < options.events:
            rate = closed_loop.run(
                ours.server.url, requests, connections=options.connections, seconds=5.0,
                run_id=f"memory-{len(points)}",
            )  # fmt: skip
            taken += rate.requests * batch
            seconds += 5.0
            points.append((int(taken), _resident(ours.home)))
            sys.stderr.write(f"{taken:,.0f} events, {points[-1][1] / 2**20:.1f} MiB\n")
        growth = slope([point for point in points if point[0] >= WARM * options.events])
        return {
            "events": int(taken),
            "per_second": round(taken / seconds),
            "first_mib": round(points[0][1] / 2**20, 1),
            "last_mib": round(points[-1][1] / 2**20, 1),
            "bytes_an_event": round(growth, 2),
            "holds": growth < FLAT_BYTES,
        }
    finally:
        ours.server.close()
        shutil.rmtree(folder, ignore_errors=True)


def slope(points: list[tuple[int, int]]) -> float:
    """Fit bytes over events by the median of all slopes between two points (Theil and Sen)."""
    slopes = sorted(
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for place, earlier in enumerate(points)
        for later in points[place + 1 :]
    )
    return slopes[len(slopes) // 2] if slopes else 0.0


def _resident(home: Path) -> int:
    """Sum the proportional memory of the serving processes."""
    return sum(map(_pss, victims.serving(home)))


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
