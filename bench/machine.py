"""The machine under the figures: what it is, how fast it is right now, and who else is using it."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench import budgets, processes
from bench.statistics import median, percentile

# A pure-Python loop of about 200 µs on the reference machine; its length is never adapted, so that
# figures compare.
CALIBRATION_STEPS = 4000
HALVES_AGREE_WITHIN = 0.05
SLOWER_AT_MOST = 1.25
TAIL_AT_MOST = 3.0


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a baseline is bound to: figures of two fingerprints are never compared."""

    cpu: str
    cpus: int
    memory_mb: int
    kernel: str
    python: str
    virtual: bool

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits over all fields."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def fingerprint() -> Fingerprint:
    """The machine that this process runs on."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    models = [
        line.split(":", 1)[1].strip()
        for line in cpuinfo.splitlines()
        if line.startswith("model name")
    ]
    memory = int(Path("/proc/meminfo").read_text().split(None, 2)[1])
    return Fingerprint(
        cpu=models[0] if models else platform.machine(),
        cpus=processes.CPUS,
        memory_mb=memory // 1024,
        kernel=platform.release(),
        python=platform.python_version(),
        virtual=" hypervisor" in cpuinfo,
    )


def python_sample() -> float:
    """Milliseconds of a fixed piece of pure Python."""
    started = time.perf_counter()
    total = 0
    for step in range(CALIBRATION_STEPS):
        total += step & 7
    return (time.perf_counter() - started) * 1000


def fdatasync_ms(folder: Path, count: int = 40) -> float:
    """Median milliseconds of an 8 KB write with fdatasync in the folder: what a durable commit
    waits for at least."""
    samples = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(count):
            started = time.perf_counter()
            os.pwrite(file.fileno(), b"\0" * 8192, 0)
            os.fdatasync(file.fileno())
            samples.append((time.perf_counter() - started) * 1000)
    return median(samples)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Repeated samples of one fixed piece of work, in milliseconds, in the order they were
    taken."""

    samples: list[float]

    @property
    def quiet_median(self) -> float:
        """The median: what is stored to compare a later session with."""
        return median(self.samples)

    def objection(self, quiet: float | None = None) -> str | None:
        """Why this machine is not fit to judge now, or None.

        `quiet` is the stored median of a quiet session; without one the session is measured against
        itself.
        """
        half = len(self.samples) // 2
        first, second = median(self.samples[:half]), median(self.samples[half:])
        if abs(first - second) > HALVES_AGREE_WITHIN * min(first, second):
            moved = f"from {first:.3f} to {second:.3f} ms"
            return f"machine busy: calibration moved {moved} within the run"
        reference = quiet or self.quiet_median
        tail = percentile(self.samples, 0.99)
        if tail > TAIL_AT_MOST * reference:
            return f"machine busy: calibration p99 is {tail / reference:.1f} times quiet"
        return None


def calibrate(sample: Callable[[], float] = python_sample, count: int = 200) -> Calibration:
    """Take `count` calibration samples in a row."""
    return Calibration([sample() for _ in range(count)])


def slower_than_reference(found: Calibration) -> str | None:
    """Why a machine is too slow for gates that were made for the reference machine, or None.

    A machine that is slow throughout agrees with itself: only a figure from elsewhere shows it.
    """
    reference = budgets.meta("reference_python_ms")
    if found.quiet_median <= SLOWER_AT_MOST * reference:
        return None
    factor = found.quiet_median / reference
    return f"machine slow: pure Python takes {factor:.1f} times what the reference machine needs"


def quietest(folder: Path, kind: str, found: Calibration) -> float:
    """The median of the quietest session of this machine so far, this one included.

    Kept in `machine-<fingerprint>.json` in the folder, by kind of calibration.
    """
    file = folder / f"machine-{fingerprint().id}.json"
    stored: dict[str, float] = json.loads(file.read_text()) if file.exists() else {}
    stored[kind] = min(found.quiet_median, stored.get(kind, found.quiet_median))
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(stored, indent=1))
    return stored[kind]


@dataclass(frozen=True, slots=True)
class Contamination:
    """What disturbed one sample from outside: counted apart, never a reason to drop a sample
    silently."""

    switches: int
    steal_s: float
    gc_s: float

    @property
    def foreign(self) -> bool:
        """The scheduler or another guest took time away. Garbage collection is ours and does not
        count."""
        return self.switches > 0 or self.steal_s > 0


class Watch:
    """Context that tells what disturbed the thread inside it; garbage collection included."""

    def __init__(self) -> None:
        self.result = Contamination(0, 0.0, 0.0)
        self._gc_s = 0.0
        self._gc_started = 0.0

    def __enter__(self) -> Self:
        gc.callbacks.append(self._on_gc)
        self._switches = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
        self._steal = processes.machine_times().steal
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        switches = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw - self._switches
        steal = processes.machine_times().steal - self._steal
        gc.callbacks.remove(self._on_gc)
        self.result = Contamination(switches, steal, self._gc_s)

    def _on_gc(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._gc_started = time.perf_counter()
        else:
            self._gc_s += time.perf_counter() - self._gc_started


def pressure_total_us() -> int:
    """Microseconds in which a runnable task had to wait for a CPU, since boot; 0 where the kernel
    does not tell."""
    try:
        some = Path("/proc/pressure/cpu").read_text().splitlines()[0]
    except (FileNotFoundError, IndexError):
        return 0
    return int(some.rpartition("=")[2])


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Who used the CPUs during a span, as shares of all of them."""

    seconds: float
    ours: float
    foreign: float
    steal: float
    pressure: float

    FOREIGN_AT_MOST = 0.10
    STEAL_AT_MOST = 0.05

    def objection(self) -> str | None:
        """Why figures of this span are not to be trusted, or None."""
        if self.foreign > self.FOREIGN_AT_MOST:
            return f"machine busy: other processes used {self.foreign:.0%} of the CPUs"
        if self.steal > self.STEAL_AT_MOST:
            return f"machine busy: the hypervisor took {self.steal:.0%} of the CPUs"
        return None


class Occupant:
    """Measures a span from its creation on: `roots` are the process trees that belong to the
    benchmark, itself included."""

    def __init__(self, *roots: int) -> None:
        self._roots = roots
        self._began = time.monotonic()
        self._machine = processes.machine_times()
        self._ours = processes.cpu_seconds(*roots)
        self._pressure = pressure_total_us()

    def read(self) -> Occupancy:
        """The shares since this object was made."""
        seconds = time.monotonic() - self._began
        machine = processes.machine_times()
        capacity = max(seconds * processes.CPUS, 1e-9)
        ours = processes.cpu_seconds(*self._roots) - self._ours
        busy = machine.busy - self._machine.busy
        return Occupancy(
            seconds=seconds,
            ours=ours / capacity,
            foreign=max(0.0, busy - ours) / capacity,
            steal=(machine.steal - self._machine.steal) / capacity,
            pressure=(pressure_total_us() - self._pressure) / 1e6 / max(seconds, 1e-9),
        )
