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

import contextlib
import gc
import json
import os
import random
import select
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.load.wire import MalformedResponseError, Request, Response, ResponseParser
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
    """A run: streams against one server, each over `connections` of its own; the first `warm_up`
    seconds are sent but not reported."""

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
    """A finished run; ``beside`` is what a closed loop reached meanwhile, a second, and
    ``realtime`` whether the generator could have been late because of the machine alone."""

    streams: dict[str, StreamResult]
    lag_p99_ms: float
    lag_histogram: dict[str, int]
    core_share: float
    invalid: str | None
    beside: float = 0.0
    realtime: bool = False

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


@dataclass(slots=True)
class _Client:
    """What sends one stream: its idle connections, longest idle first, and what waits for one."""

    idle: deque[_Line] = field(default_factory=deque)
    waiting: deque[_Arrival] = field(default_factory=deque)


class _Line:
    """A keep-alive connection and the request that is on it, if any."""

    __slots__ = ("arrival", "client", "parser", "socket")

    def __init__(self, plan: Plan, client: _Client) -> None:
        self.socket = socket.create_connection((plan.host, plan.port), plan.timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.parser = ResponseParser()
        self.client = client
        self.arrival: _Arrival | None = None


class Generator:
    """Runs one plan; each stream has connections of its own, as clients of a server have.

    It is a plain loop over select(): an event loop's own work for each request would be taken from
    the cores that the server needs. select() and not epoll, which rounds waits up to whole
    milliseconds and alone would break the lag limit.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._lines: dict[int, _Line] = {}
        self._clients = [_Client() for _ in plan.streams]
        self._results = [StreamResult() for _ in plan.streams]
        self._statuses: list[Counter[int]] = [Counter() for _ in plan.streams]
        self._lags: list[float] = []
        self._arrivals = deque(self._schedule())
        self._start = 0.0

    def run(self) -> Result:
        """Send everything, wait for the answers, and report.

        Raises:
            OSError: nobody listens there.
        """
        plan = self._plan
        for _ in range(plan.connections):
            for client in self._clients:
                self._open(client)
        gc.collect()
        gc.freeze()
        gc.disable()
        self._start = time.monotonic() + LEAD_IN_S
        cpu_before, wall_before = time.process_time(), time.monotonic()
        self._serve(plan.warm_up + plan.duration)
        core_share = (time.process_time() - cpu_before) / (time.monotonic() - wall_before)
        self._drain()
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

    def _open(self, client: _Client) -> None:
        line = _Line(self._plan, client)
        self._lines[line.socket.fileno()] = line
        client.idle.append(line)

    def _serve(self, until: float) -> None:
        """Send what falls due and take answers, up to a time in seconds from the start."""
        arrivals = self._arrivals
        while (now := time.monotonic() - self._start) < until:
            while arrivals and arrivals[0].at <= now:
                self._dispatch(arrivals.popleft(), now)
                now = time.monotonic() - self._start
            due = arrivals[0].at if arrivals else until
            self._take_answers(max(0.0, min(due, until) - now))

    def _drain(self) -> None:
        deadline = time.monotonic() + self._plan.timeout
        while self._unfinished() and time.monotonic() < deadline:
            self._take_answers(0.01)
        for arrival in self._unfinished():
            if arrival.counts:
                self._results[arrival.stream].timed_out += 1

    def _unfinished(self) -> list[_Arrival]:
        sent = [line.arrival for line in self._lines.values() if line.arrival is not None]
        return [*sent, *(arrival for client in self._clients for arrival in client.waiting)]

    def _dispatch(self, arrival: _Arrival, now: float) -> None:
        client = self._clients[arrival.stream]
        if arrival.counts:
            self._results[arrival.stream].planned += 1
            self._lags.append((now - arrival.at) * 1000)
        if client.idle:
            self._send(client.idle.popleft(), arrival)
        elif len(client.waiting) < self._plan.max_waiting:
            client.waiting.append(arrival)
        elif arrival.counts:
            self._results[arrival.stream].dropped += 1

    def _send(self, line: _Line, arrival: _Arrival) -> None:
        line.arrival = arrival
        try:
            line.socket.sendall(arrival.data)
        except OSError:
            self._break(line)

    def _take_answers(self, seconds: float) -> None:
        readable, _, _ = select.select(self._lines, (), (), seconds)
        for number in readable:
            self._receive(self._lines[number])

    def _receive(self, line: _Line) -> None:
        try:
            data = line.socket.recv(65_536)
            response = line.parser.feed(data) if data else None
        except (OSError, MalformedResponseError):
            data, response = b"", None
        if not data:
            self._break(line)
        elif response is not None:
            self._answered(line, response)

    def _answered(self, line: _Line, response: Response) -> None:
        now = time.monotonic() - self._start
        arrival, line.arrival = line.arrival, None
        if arrival is not None and arrival.counts:
            self._results[arrival.stream].latencies.append((now - arrival.at) * 1000)
            self._statuses[arrival.stream][response.status] += 1
        if not response.keeps_alive:
            self._break(line)
        elif line.client.waiting:
            self._send(line, line.client.waiting.popleft())
        else:
            line.client.idle.append(line)

    def _break(self, line: _Line) -> None:
        """Put a new connection in the place of one that ended; what was on it got no answer."""
        arrival, client = line.arrival, line.client
        if arrival is not None and arrival.counts:
            self._results[arrival.stream].broken += 1
        del self._lines[line.socket.fileno()]
        line.socket.close()
        if line in client.idle:
            client.idle.remove(line)
        with contextlib.suppress(OSError):
            self._open(client)
        if client.waiting and client.idle:
            self._send(client.idle.popleft(), client.waiting.popleft())

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

    Raises:
        OSError: nobody listens there.
    """
    if plan.cpu is not None:
        os.sched_setaffinity(0, {plan.cpu})
    realtime = False
    with contextlib.suppress(OSError):  # an instrument must not queue behind what it measures
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        realtime = True
    return replace(Generator(plan).run(), realtime=realtime)


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
