"""Race consumes over HTTP for the last units that grants leave: none may be taken too often.

Customers have three grants each beside what their period issues, of other priorities and ends, and
one grant is voided and one made while all consume. Afterwards what was acknowledged is what the
quota counted, what the meter shows, and exactly what the grants held.
"""

import argparse
import http.client
import shutil
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.systems import innkeeper
from bench.systems.innkeeper import Innkeeper
from bench.systems.server import HOST

FEATURE: Final = "processed_units"
SHARES: Final = {"issue": 40, "first": 30, "last": 20, "late": 10}
"""Percent of the room of a customer that each of its grants holds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take how many race, for how much."""
    parser.add_argument("--consumes", type=int, default=100_000)
    parser.add_argument("--customers", type=int, default=4)
    parser.add_argument("--connections", type=int, default=16)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Start a system, race, count."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="innkeeper-consumes-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o711)  # the database's account passes through
        system = innkeeper.start(folder)
        stack.callback(system.server.close)
        race = Race(system, options.consumes)
        race.prepare(options.customers)
        race.run(options.connections)
        return race.findings()


@dataclass
class Race:
    """Connections that consume single units, of one customer after the other, until told to stop.

    Half of the consumes find room, half come too late.
    """

    system: Innkeeper
    consumes: int
    customers: list[str] = field(default_factory=list)
    taken: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)
    started: int = 0

    @property
    def room(self) -> int:
        """Give the units that one customer may use in all."""
        return self.consumes // (2 * len(self.customers))

    def prepare(self, customers: int) -> None:
        """Make customers with grants."""
        self.customers = [self.system.limited_guest("basic").slug for _ in range(customers)]
        self.taken = dict.fromkeys(self.customers, 0)
        for customer in self.customers:
            body = {
                "type": "metered",
                "featureKey": FEATURE,
                "usagePeriod": {"interval": "YEAR"},
                "issueAfterReset": self.share("issue"),
            }
            self.system.call("PUT", f"{_path(customer)}/override", body)
            self.give(customer, "first", priority=0)
            self.give(customer, "last", priority=5)

    def share(self, name: str) -> int:
        """Give the units of one grant; the shares add up to the room."""
        if name == "late":
            return self.room - sum(self.share(other) for other in SHARES if other != "late")
        return self.room * SHARES[name] // 100

    def give(self, customer: str, name: str, priority: int) -> dict[str, Any]:
        """Grant one share from now on."""
        now = datetime.now(UTC).isoformat()
        body = {"amount": self.share(name), "effectiveAt": now, "priority": priority}
        made: dict[str, Any] = self.system.call("POST", f"{_path(customer)}/grants", body)
        return made

    def run(self, connections: int) -> None:
        """Let all consume, and change grants meanwhile."""
        threads = [threading.Thread(target=self._consume) for _ in range(connections)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for customer in self.customers:
            gone = self.give(customer, "late", priority=9)
            self.system.call("DELETE", f"/api/v1/grants/{gone['id']}")
            self.give(customer, "late", priority=9)
        for thread in threads:
            thread.join()
        self.seconds = time.monotonic() - began

    def _consume(self) -> None:
        connection = http.client.HTTPConnection(HOST, self.system.server.port, timeout=60)
        headers = {
            "Authorization": f"Bearer {self.system.platform_key}",
            "Content-Type": "application/json",
        }
        while (number := self._next()) is not None:
            customer = self.customers[number % len(self.customers)]
            connection.request("POST", f"{_path(customer, 1)}/consume", '{"quantity": 1}', headers)
            answer = connection.getresponse()
            text = answer.read()
            with self.guard:
                if answer.status == http.client.OK:
                    self.taken[customer] += 1
                elif answer.status == http.client.CONFLICT and b"quota_exceeded" in text:
                    self.refused += 1
                else:
                    self.failures.append(f"{answer.status} {text[:200]!r}")
        connection.close()

    def _next(self) -> int | None:
        with self.guard:
            if self.started >= self.consumes or self.failures:
                return None
            self.started += 1
            if self.started % 10_000 == 0:
                sys.stderr.write(f"{self.started} of {self.consumes}\n")
            return self.started

    def findings(self) -> dict[str, Any]:
        """Compare what was acknowledged with quota, meter and grants."""
        overshoot, drift = 0, 0
        for customer, taken in self.taken.items():
            value = self.system.call("GET", f"{_path(customer)}/value")
            overshoot += max(taken - self.room, 0) + int(value["overage"])
            query = f"/api/v1/meters/{FEATURE}/query?filterCustomerId={customer}"
            rows = self.system.call("GET", query)["data"]
            metered = sum(int(row["value"]) for row in rows)
            drift += abs(int(value["usage"]) - taken) + abs(metered - taken)
            drift += abs(self.room - taken - int(value["balance"]))
        return {
            "consumes": self.started,
            "taken": sum(self.taken.values()),
            "room": self.room * len(self.customers),
            "refused": self.refused,
            "overshoot": overshoot,
            "drift": drift,
            "per_second": round(self.started / self.seconds, 1),
            "failures": self.failures[:3],
            "holds": overshoot == 0 and drift == 0 and not self.failures,
        }


def _path(customer: str, version: int = 2) -> str:
    return f"/api/v{version}/customers/{customer}/entitlements/{FEATURE}"
