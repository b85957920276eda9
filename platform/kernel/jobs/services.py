"""The services of a worker process: named loops that run until they are told to stop."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

Run = Callable[[threading.Event], None]
HEARTBEAT_S = 5.0
"""Seconds between two signs of life of a worker's services."""


@dataclass(frozen=True, slots=True)
class Service:
    """A loop. ``run`` returns only when its event is set; anything else counts as a death."""

    name: str
    run: Run


class Services:
    """The services by name; the composition root registers them."""

    def __init__(self) -> None:
        self._by_name: dict[str, Service] = {}

    def register(self, name: str, run: Run) -> None:
        """Add a service.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._by_name:
            raise ValueError(f"service {name} is registered twice")
        self._by_name[name] = Service(name, run)

    def all(self) -> list[Service]:
        """List the services in the order of their registration."""
        return list(self._by_name.values())


# What every worker runs besides what the composition root registers.
BUILT_IN = ("outbox", "jobs", "reaper", "purge")
services = Services()


def every(seconds: float, work: Callable[[], object]) -> Run:
    """Make a loop that does ``work`` now and then every ``seconds``."""

    def run(stop: threading.Event) -> None:
        while not stop.is_set():
            work()
            stop.wait(seconds)

    return run
