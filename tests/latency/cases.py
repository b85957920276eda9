"""One latency case for every route and method; a route without one fails the suite.

A case names its budget (docs/budgets.toml), the status it expects, and how its next
valid request is made: `make(world)` is called once and gives a function of the request's number,
which runs outside the timing. The cases stand in one module for each noun, beside this one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench import budgets
from bench.latency.calls import Call
from bench.latency.rounds import Prepare, Probe
from tests.latency.world import World

Make = Callable[[World], Prepare]


@dataclass(frozen=True, slots=True)
class Case:
    """How one route and method is asked, and what it may take."""

    make: Make
    budget: str = "class.std"
    status: int | tuple[int, ...] = 200

    def probe(self, name: str, world: World) -> Probe:
        """Bind the case to its data."""
        statuses = self.status if isinstance(self.status, tuple) else (self.status,)
        return Probe(name, budgets.get(self.budget), self.make(world), statuses)

    @property
    def is_staff(self) -> bool:
        """Whether it is a page of the staff's admin, measured in fewer rounds."""
        return self.budget == "class.staff"


def always(make: Callable[[World], Call]) -> Make:
    """A request that can be repeated as it is."""

    def bind(world: World) -> Prepare:
        call = make(world)
        return lambda number: call

    return bind


def each(make: Callable[[World, int], Call]) -> Make:
    """A request that is made anew each time, such as one that creates something."""

    def bind(world: World) -> Prepare:
        return lambda number: make(world, number)

    return bind
