"""The open-loop generator: requests start at their appointed times, whether or not earlier ones
were answered.

Latency counts from the intended time, so a server that stalls is charged for every request that
should have been sent meanwhile (Gil Tene's "coordinated omission"). The generator watches itself: a
run in which it was late or used too much of its core says nothing about the server and is marked
invalid. Where it is allowed to (root), it runs with real-time priority, since it shares the cores
with the server. Run as a process of its own: `python -m bench.load.open_loop < plan.json >
result.json`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import random
import selectors
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.load.connection import Connection, connect
from bench.load.wire import Request, Response
from bench.statistics import percentile

MAX_LAG_P99_MS = 1.0
MAX_CORE_SHARE = 0.60
# Upper edges of the own-lag histogram, in milliseconds.
LAG_EDGES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 50.0)
LEAD_IN_S = 0.2


@dataclass(frozen=True, slots=True)
class Stream:
    """A named sequence of requests, taken in turn, at a mean rate per second."""

    name: str
    rate: float
    requests: tuple[Request, ...]
    arrivals: str = "poisson"

    def times(self, duration: float, rng: random.Random) -> list[float]:
        """The intended times in seconds from the start.

        Raises:
            ValueError: `arrivals` is neither "constant" nor "poisson".
        """
        if self.arrivals == "constant":
            return [index / self.rate for index in range(int(duration * self.rate))]
        if self.arrivals != "poisson":
            raise ValueError(f"unknown arrivals: {self.arrivals}")
        found, at = [], rng.expovariate(self.rate)
        while at < duration:
            found.append(at)
            at += rng.expovariate(self.rate)
        return found


@dataclass(frozen=True, slots=True)
class Plan:
    """A run: streams against one server; the first `warm_up` seconds are sent but not reported."""

    host: str
    port: int
    streams: tuple[Stream, ...]
    duration: float
    warm_up: float = 1.0
    connections: int = 32
    max_waiting: int = 10_000
    timeout: float = 10.0
    seed: int = 1
    cpu: int | None = None

    def dump(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> Plan:
        """From JSON."""
        raw = json.loads(text)
        streams = tuple(
            Stream(**{**s, "requests": tuple(Request(**r) for r in s["requests"])})
            for s in raw.pop("streams")
        )
        return cls(streams=streams, **raw)


@dataclass(slots=True)
class StreamResult:
    """What happened to the requests of one stream after the warm-up; latencies in milliseconds."""

    planned: int = 0
    dropped: int = 0
    broken: int = 0
    timed_out: int = 0
    latencies: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    def percentile(self, share: float) -> float:
        """A percentile of the latencies in milliseconds."""
        return percentile(self.latencies, share)


@dataclass(frozen=True, slots=True)
class Result:
    """A finished run."""

    streams: dict[str, StreamResult]
    lag_p99_ms: float
    lag_histogram: dict[str, int]
    core_share: float
    invalid: str | None

    @classmethod
    def parse(cls, text: str) -> Result:
        """From the JSON that the generator's process prints."""
        raw = json.loads(text)
        streams = {
            name: StreamResult(
                **{**s, "statuses": {int(code): n for code, n in s["statuses"].items()}}
            )
            for name, s in raw.pop("streams").items()
        }
        return cls(streams=streams, **raw)


@dataclass(slots=True)
class _Arrival:
    at: float
    stream: int
    data: bytes
    counts: bool


class Generator:
    """Runs one plan inside a running event loop."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._idle: list[Connection] = []
        self._waiting: deque[_Arrival] = deque()
        self._results = [StreamResult() for _ in plan.streams]
        self._statuses: list[Counter[int]] = [Counter() for _ in plan.streams]
        self._lags: list[float] = []
        self._in_flight: dict[Connection, _Arrival] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._arrivals = deque(self._schedule())
        self._start = 0.0

    async def run(self) -> Result:
        """Send everything, wait for the answers, and report."""
        plan = self._plan
        for _ in range(plan.connections):
            self._idle.append(await connect(plan.host, plan.port))
        loop = asyncio.get_running_loop()
        gc.collect()
        gc.freeze()
        gc.disable()
        self._start = loop.time() + LEAD_IN_S
        cpu_before, wall_before = time.process_time(), time.monotonic()
        self._arm(loop)
        end = self._start + plan.warm_up + plan.duration
        await asyncio.sleep(end - loop.time())
        core_share = (time.process_time() - cpu_before) / (time.monotonic() - wall_before)
        await self._drain(loop)
        return self._report(core_share)

    def _schedule(self) -> list[_Arrival]:
        plan, rng = self._plan, random.Random(self._plan.seed)  # noqa: S311 - arrival times
        host, run = f"{plan.host}:{plan.port}", f"{os.getpid():x}-{time.time_ns():x}"
        arrivals = []
        for number, stream in enumerate(plan.streams):
            fixed = [None if r.varies else r.encode(host) for r in stream.requests]
            for index, at in enumerate(stream.times(plan.warm_up + plan.duration, rng)):
                turn = index % len(stream.requests)
                data = fixed[turn] or stream.requests[turn].encode(host, f"{run}-{number}-{index}")
                arrivals.append(_Arrival(at, number, data, at >= plan.warm_up))
        arrivals.sort(key=lambda arrival: arrival.at)
        return arrivals

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._arrivals:
            loop.call_at(self._start + self._arrivals[0].at, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time() - self._start
        while self._arrivals and self._arrivals[0].at <= now:
            arrival = self._arrivals.popleft()
            if arrival.counts:
                self._results[arrival.stream].planned += 1
                self._lags.append((now - arrival.at) * 1000)
            self._dispatch(arrival)
            now = loop.time() - self._start
        self._arm(loop)

    def _dispatch(self, arrival: _Arrival) -> None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                self._send(connection, arrival)
                return
            self._reopen()
        if len(self._waiting) < self._plan.max_waiting:
            self._waiting.append(arrival)
        elif arrival.counts:
            self._results[arrival.stream].dropped += 1

    def _send(self, connection: Connection, arrival: _Arrival) -> None:
        self._in_flight[connection] = arrival
        connection.send(arrival.data, self._answered)

    def _answered(self, connection: Connection, response: Response | None) -> None:
        now = asyncio.get_running_loop().time() - self._start
        arrival = self._in_flight.pop(connection)
        if arrival.counts:
            self._record(arrival, response, now)
        if not connection.usable:
            self._reopen()
        elif self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _record(self, arrival: _Arrival, response: Response | None, now: float) -> None:
        result = self._results[arrival.stream]
        if response is None:
            result.broken += 1
            return
        result.latencies.append((now - arrival.at) * 1000)
        self._statuses[arrival.stream][response.status] += 1

    def _reopen(self) -> None:
        task = asyncio.get_running_loop().create_task(self._open_one())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open_one(self) -> None:
        try:
            connection = await connect(self._plan.host, self._plan.port)
        except OSError:
            return
        if self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._idle.append(connection)

    async def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        deadline = loop.time() + self._plan.timeout
        while (self._in_flight or self._waiting) and loop.time() < deadline:
            await asyncio.sleep(0.01)
        for arrival in [*self._in_flight.values(), *self._waiting]:
            if arrival.counts:
                self._results[arrival.stream].timed_out += 1
        self._waiting.clear()

    def _report(self, core_share: float) -> Result:
        for result, statuses in zip(self._results, self._statuses, strict=True):
            result.statuses = dict(statuses)
        lag = percentile(self._lags, 0.99) if self._lags else 0.0
        invalid = None
        if lag > MAX_LAG_P99_MS:
            invalid = f"the generator was late: lag p99 {lag:.2f} ms"
        elif core_share > MAX_CORE_SHARE:
            invalid = f"the generator used {core_share:.0%} of its core"
        return Result(
            streams={
                stream.name: result
                for stream, result in zip(self._plan.streams, self._results, strict=True)
            },
            lag_p99_ms=lag,
            lag_histogram=lag_histogram(self._lags),
            core_share=core_share,
            invalid=invalid,
        )


def lag_histogram(lags: list[float]) -> dict[str, int]:
    """How many requests were sent how late, by upper edge in milliseconds."""
    counts = Counter(
        next((f"<={edge} ms" for edge in LAG_EDGES if lag <= edge), "later") for lag in lags
    )
    return {key: counts[key] for key in [*(f"<={edge} ms" for edge in LAG_EDGES), "later"]}


def run_here(plan: Plan) -> Result:
    """Run the plan in this process.

    select() is used because epoll rounds waits up to whole milliseconds, which alone would break
    the lag limit.
    """
    if plan.cpu is not None:
        os.sched_setaffinity(0, {plan.cpu})
    with contextlib.suppress(OSError):  # an instrument must not queue behind what it measures
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    try:
        return loop.run_until_complete(Generator(plan).run())
    finally:
        loop.close()


def run(plan: Plan) -> Result:
    """Run the plan in a process of its own and wait for it.

    Raises:
        RuntimeError: the process failed; its error output is the message.
    """
    finished = subprocess.run(
        [sys.executable, "-m", "bench.load.open_loop"],
        input=plan.dump(),
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    if finished.returncode:
        raise RuntimeError(finished.stderr.strip())
    return Result.parse(finished.stdout)


def dump(result: Result) -> str:
    """The result as JSON."""
    raw: dict[str, Any] = asdict(result)
    return json.dumps(raw)


if __name__ == "__main__":
    print(dump(run_here(Plan.parse(sys.stdin.read()))))
