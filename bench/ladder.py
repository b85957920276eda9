"""The ladder: every rung measured in interleaved rounds, so that a busy moment hits all alike.

Rounds run forwards and backwards in turn (ABBA): a drift of the machine cancels out of the ratios.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from bench import processes
from bench.load import closed_loop
from bench.load.closed_loop import Rate
from bench.load.wire import Request
from bench.machine import Occupancy, Occupant
from bench.statistics import Interval, bootstrap, median, ratio
from bench.systems.server import Server


@dataclass(frozen=True, slots=True)
class Rung:
    """One kind of request against one system; `items` is how many things one request carries.

    `connections` are its own where its claim names them, otherwise the run's.
    """

    name: str
    title: str
    server: Server
    requests: tuple[Request, ...]
    items: int = 1
    connections: int | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """One visit to a rung: the rate and the CPU milliseconds that a request cost."""

    rate: Rate
    server_cpu_ms: float
    database_cpu_ms: float


@dataclass(slots=True)
class Measurement:
    """All visits to a rung, in the order of the rounds."""

    rung: Rung
    rounds: list[Round] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        """Requests a second of each round."""
        return [found.rate.per_second for found in self.rounds]

    def interval(self) -> Interval:
        """Requests a second with its 95 % interval."""
        return bootstrap(self.rates)

    def p(self, name: str) -> float:
        """The median over the rounds of a latency percentile such as `p99`, in milliseconds."""
        return median([getattr(found.rate, name) for found in self.rounds])

    def cpu_ms(self) -> tuple[float, float]:
        """Milliseconds of CPU a request cost in the server and in PostgreSQL."""
        return (
            median([found.server_cpu_ms for found in self.rounds]),
            median([found.database_cpu_ms for found in self.rounds]),
        )

    def refused(self) -> int:
        """Answers with a status of 400 or more, and connections that broke."""
        return sum(found.rate.refused + found.rate.broken for found in self.rounds)

    def ratio_to(self, other: Measurement) -> Interval:
        """How many times the other's rate this one reaches, paired by round."""
        return ratio(self.rates, other.rates)


@dataclass(frozen=True, slots=True)
class Ladder:
    """All measurements by rung name, and who used the machine meanwhile."""

    measurements: dict[str, Measurement]
    occupancy: Occupancy
    connections: int
    seconds: float


Say = Callable[[str], None]


def climb(
    rungs: list[Rung],
    *,
    rounds: int,
    seconds: float,
    connections: int,
    own_roots: tuple[int, ...],
    say: Say,
) -> Ladder:
    """Warm every rung up for a second, then visit all of them in every round."""
    for rung in rungs:
        _visit(rung, 1.0, connections, "warm")
    measurements = {rung.name: Measurement(rung) for rung in rungs}
    occupant = Occupant(os.getpid(), *own_roots)
    for number in range(rounds):
        order = rungs if number % 2 == 0 else rungs[::-1]
        for rung in order:
            found = _visit(rung, seconds, connections, f"r{number}")
            measurements[rung.name].rounds.append(found)
        say(
            f"round {number + 1} of {rounds}: "
            + ", ".join(f"{n} {m.rates[-1]:,.0f}/s" for n, m in measurements.items())
        )
    return Ladder(measurements, occupant.read(), connections, seconds)


def _visit(rung: Rung, seconds: float, connections: int, label: str) -> Round:
    server, run_id = rung.server, f"{rung.name}-{os.getpid():x}-{label}"
    work_before = server.own_cpu_seconds()
    database_before = processes.cpu_seconds(*server.database_roots)
    rate = closed_loop.run(
        server.url,
        rung.requests,
        connections=rung.connections or connections,
        seconds=seconds,
        run_id=run_id,
    )
    per_request = 1000 / max(rate.requests, 1)
    return Round(
        rate,
        (server.own_cpu_seconds() - work_before) * per_request,
        (processes.cpu_seconds(*server.database_roots) - database_before) * per_request,
    )
