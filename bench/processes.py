"""CPU seconds of process trees and of the whole machine, read from /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
CPUS = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class MachineTimes:
    """Seconds since boot, summed over all CPUs."""

    busy: float
    steal: float
    idle: float


def _stat_fields(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command name may hold spaces and brackets; everything after its closing bracket is plain.
    return text.rpartition(")")[2].split()


def tree(root: int) -> list[int]:
    """The process and all its living descendants; empty if it is gone."""
    children: dict[int, list[int]] = {}
    alive: set[int] = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        fields = _stat_fields(int(entry.name))
        if fields is not None:
            alive.add(int(entry.name))
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, queue = [], [root] if root in alive else []
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue.extend(children.get(pid, ()))
    return found


def cpu_seconds(*roots: int, without: tuple[int, ...] = ()) -> float:
    """User and system seconds of the trees, children that ended and were waited for included.

    Trees `without` are left out: a database that the server started is counted apart.
    """
    total = 0
    apart = {pid for root in without for pid in tree(root)}
    for pid in {pid for root in roots for pid in tree(root)} - apart:
        fields = _stat_fields(pid)
        if fields is not None:
            total += sum(int(value) for value in fields[11:15])
    return total / TICKS


def machine_times() -> MachineTimes:
    """The first line of /proc/stat; time given to other guests (steal) is apart from busy."""
    values = [int(v) for v in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, idle, iowait, irq, softirq, steal = values[:8]
    return MachineTimes(
        busy=(user + nice + system + irq + softirq) / TICKS,
        steal=steal / TICKS,
        idle=(idle + iowait) / TICKS,
    )


def stop(
    process: subprocess.Popen[bytes], *, first: int = signal.SIGTERM, wait: float = 15.0
) -> None:
    """End a process that we started in a session of its own: politely, then with SIGKILL to its
    group."""
    if process.poll() is None:
        process.send_signal(first)
        deadline = time.monotonic() + wait
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(5)
