"""An open-loop plan in several short windows, of which only those count in which the machine was
ours.

On a shared machine a stall of a second falls into some window of a run; one long window would be
spoiled by it as a whole. Whether a window counts is decided by what is known without looking at its
latencies: the generator's own lag, what other processes and the hypervisor took meanwhile, and how
fast pure Python is right before and after. Windows that count are pooled as they are, good or bad.
Windows in which the machine was slow or shared but did not stand still may show that a limit is
kept, and never that it is not (docs/adr/0147).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from bench import machine
from bench.load import open_loop
from bench.load.open_loop import LAG_EDGES, Plan, Result, StreamResult
from bench.statistics import median

CALIBRATION_SAMPLES = 100
# A generator with real-time priority waits for nobody: 0.14 to 0.21 ms is its lag at p99 beside a
# busy server on a machine that runs. What is more is time in which the machine stood still.
STOOD_STILL_MS = 0.3
STEADY_FOR_FIT = 2  # steady windows that stand for one that is fit
Run = Callable[[Plan], Result]
Sample = Callable[[], float]
Paced = Callable[[Plan], Plan]


@dataclass(frozen=True, slots=True)
class Window:
    """One window and why the machine was not fit to judge it, or None; ``steady`` if it at least
    did not stand still."""

    result: Result
    objection: str | None
    steady: bool
    rates: dict[str, float] = field(default_factory=dict)  # asked for, a second, by stream


@dataclass(frozen=True, slots=True)
class Windows:
    """All windows of a leg, in the order they were taken; `wanted` have to be fit."""

    taken: tuple[Window, ...]
    wanted: int

    @property
    def fit(self) -> list[Result]:
        """The results that count."""
        return [window.result for window in self.taken if window.objection is None]

    @property
    def steady(self) -> list[Result]:
        """The results of all windows in which the machine did not stand still."""
        return [window.result for window in self.taken if window.steady]

    def suffice(self) -> bool:
        """Tell whether enough are fit, or steady: no more windows are needed."""
        return len(self.fit) >= self.wanted or len(self.steady) >= STEADY_FOR_FIT * self.wanted

    def pooled(self) -> Result:
        """All fit windows as one result; of all windows, marked invalid, if too few were fit."""
        if len(self.fit) >= self.wanted:
            return pool(self.fit, None)
        last = next(w.objection for w in reversed(self.taken) if w.objection is not None)
        few = f"{len(self.fit)} of {len(self.taken)} windows were fit, {self.wanted} needed: {last}"
        return pool([window.result for window in self.taken], few)

    def pooled_steady(self) -> Result | None:
        """All steady windows as one result, slow and shared machine or not; None if they are too
        few. Others on the machine and slow CPUs add latency and never take any away, so what is
        good enough here is good enough."""
        steady = self.steady
        return pool(steady, None) if len(steady) >= STEADY_FOR_FIT * self.wanted else None

    def lost(self, stream: str) -> int:
        """Requests without a good answer in any window, fit or not: no noise excuses a count."""
        return sum(_lost(window.result.streams[stream]) for window in self.taken)


def _lost(found: StreamResult) -> int:
    refused = sum(count for status, count in found.statuses.items() if status >= 400)
    return found.dropped + found.broken + found.timed_out + refused


def take(
    plan: Plan,
    *,
    wanted: int,
    at_most: int,
    roots: Sequence[int] = (),
    run: Run = open_loop.run,
    sample: Sample = machine.python_sample,
    paced: Paced = lambda plan: plan,
) -> Windows:
    """Take windows of the plan, each with a seed of its own, until they suffice or `at_most` are
    taken; `roots` are the process trees of the systems under test. `paced` gives the plan of a
    window its rates right before it; what that takes of the machine is no part of the window.

    Raises:
        RuntimeError: the generator's process failed.
    """
    taken = Windows((), wanted)
    quiet = _speed(sample)
    before = quiet
    while len(taken.taken) < at_most and not taken.suffice():
        window = paced(replace(plan, seed=plan.seed + len(taken.taken)))
        occupant = machine.Occupant(os.getpid(), *roots)
        result = run(window)
        occupancy = occupant.read()
        after = _speed(sample)
        quiet = min(quiet, after)
        still = _stood_still(result)
        slow = _slower(max(before, after), quiet)
        one = Window(
            result,
            still or occupancy.objection() or slow,
            still is None,
            {stream.name: stream.rate for stream in window.streams},
        )
        taken = Windows((*taken.taken, one), wanted)
        before = after
    return taken


def _stood_still(result: Result) -> str | None:
    if result.invalid is None and result.realtime and result.lag_p99_ms > STOOD_STILL_MS:
        return f"machine stood still: the generator's lag p99 was {result.lag_p99_ms:.2f} ms"
    return result.invalid


def _speed(sample: Sample) -> float:
    return median([sample() for _ in range(CALIBRATION_SAMPLES)])


def _slower(found: float, quiet: float) -> str | None:
    if found <= machine.SLOWER_AT_MOST * quiet:
        return None
    return f"machine slow: pure Python took {found / quiet:.1f} times what it took at its best"


def pool(results: Sequence[Result], invalid: str | None) -> Result:
    """Several results of the same streams as one; lag is that of the worst window."""
    return Result(
        streams={
            name: _pool([result.streams[name] for result in results]) for name in results[0].streams
        },
        lag_p99_ms=max(result.lag_p99_ms for result in results),
        lag_histogram={
            key: sum(result.lag_histogram.get(key, 0) for result in results)
            for key in [*(f"<={edge} ms" for edge in LAG_EDGES), "later"]
        },
        core_share=max(result.core_share for result in results),
        invalid=invalid,
    )


def _pool(found: Sequence[StreamResult]) -> StreamResult:
    statuses: Counter[int] = Counter()
    for one in found:
        statuses.update(one.statuses)
    return StreamResult(
        planned=sum(one.planned for one in found),
        dropped=sum(one.dropped for one in found),
        broken=sum(one.broken for one in found),
        timed_out=sum(one.timed_out for one in found),
        latencies=[latency for one in found for latency in one.latencies],
        statuses=dict(statuses),
    )
