"""Race consumes over HTTP for the last units that are left: none may be taken too often.

``--of grants``: customers have three grants each beside what their period issues, of other
priorities and ends, and one grant is voided and one made while all consume. ``--of quota``: nothing
but the hard limit of their plan. Afterwards what was acknowledged is what the quota counted, what
the meter shows, and exactly what there was; ``verify_usage`` agrees. Every call has an idempotency
key; one in ``--repeated`` is repeated at once and must be answered alike. How far it is stands on
stderr. ``cost`` is of one call: CPU of server and database in milliseconds, the transactions that
the database committed (the gate's and any other's) and the flushes of its log.
"""

import argparse
import secrets
import shutil
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench import processes
from bench.systems import innkeeper
from bench.systems.innkeeper import Innkeeper
from bench.usage import racing, victims
from bench.usage.racing import Errand, Outcome

FEATURE: Final = "processed_units"
_COMMITS: Final = """
SELECT (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()),
       (SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal')
"""
SHARES: Final = {"issue": 40, "first": 30, "last": 20, "late": 10}
"""Percent of the room of a customer that each of its grants holds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take how many race, for how much."""
    parser.add_argument("--consumes", type=int, default=100_000)
    parser.add_argument("--customers", type=int, default=4)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--repeated", type=int, default=20)
    parser.add_argument("--of", choices=["grants", "quota"], default="grants")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Start a system, race, count."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="innkeeper-consumes-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o711)  # the database's account passes through
        system = innkeeper.start(folder)
        stack.callback(system.server.close)
        kind = GrantRace if options.of == "grants" else Race
        race = kind(system, options.consumes, repeated=options.repeated)
        race.prepare(options.customers)
        race.run(options.connections, options.processes)
        return {"of": options.of, **race.findings()}


@dataclass
class Race:
    """Calls for twice what customers may use by their plan: half find room, half come too late."""

    system: Innkeeper
    consumes: int
    repeated: int = 0
    customers: list[str] = field(default_factory=list)
    room: int = 0
    """What one customer may use in all, in units."""
    quantity: int = 1
    outcome: Outcome = field(default_factory=Outcome)
    seconds: float = 0.0
    cost: dict[str, float] = field(default_factory=dict)

    def prepare(self, customers: int) -> None:
        """Make customers, and let so much be taken at once that there is not enough."""
        self.customers = [self.system.limited_guest("basic").slug for _ in range(customers)]
        value = self.system.call("GET", f"{_path(self.customers[0])}/value")
        self.room = int(value["totalAvailableGrantAmount"])
        self.quantity = max(2 * self.room * customers // self.consumes, 1)

    def run(self, connections: int, callers: int) -> None:
        """Let all consume, and change meanwhile what may be changed."""
        paths = [_path(customer, 1) for customer in self.customers]
        errand = Errand(
            self.system.server.port, self.system.platform_key, paths, self.quantity,
            self.consumes, connections, self.repeated, secrets.token_hex(8),
        )  # fmt: skip
        before = self._spent()
        with racing.pool(callers, self.consumes) as pool:
            began = time.monotonic()
            running = racing.start(pool, errand, callers)
            self.disturb()
            for one in running:
                self.outcome.add(one.result())
        self.seconds = time.monotonic() - began
        after = self._spent()
        calls = sum(self.outcome.answers.values())
        self.cost = {name: round((after[name] - before[name]) / calls, 3) for name in after}

    def _spent(self) -> dict[str, float]:
        """Sum up what the system has spent so far."""
        server = self.system.server
        with victims.owner(self.system.home) as link:
            row = link.execute(_COMMITS).fetchone()
        commits, flushes = row if row is not None else (0, 0)
        return {
            "server_ms": 1000 * server.own_cpu_seconds(),
            "database_ms": 1000 * processes.cpu_seconds(*server.database_roots),
            "transactions": float(str(commits)),
            "flushes": float(str(flushes)),
        }

    def disturb(self) -> None:
        """Change nothing."""

    def findings(self) -> dict[str, Any]:
        """Compare what was acknowledged with the room, the quota and the meter."""
        overshoot = drift = missed = 0
        for customer in self.customers:
            answers = self.outcome.answers
            taken = answers[_path(customer, 1), racing.TAKEN] * self.quantity
            value = self.system.call("GET", f"{_path(customer)}/value")
            overshoot += max(taken - self.room, 0) + int(value["overage"])
            query = f"/api/v1/meters/{FEATURE}/query?filterCustomerId={customer}"
            rows = self.system.call("GET", query)["data"]
            metered = sum(int(row["value"]) for row in rows)
            drift += abs(int(value["usage"]) - taken) + abs(metered - taken)
            drift += abs(self.room - taken - int(value["balance"]))
            missed += max(self.room - taken - self.quantity + 1, 0)
        verified = victims.manage(self.system.home, "verify_usage")
        told = {
            name: sum(n for (_, kind), n in self.outcome.answers.items() if kind == name)
            for name in (racing.TAKEN, racing.REFUSED, racing.REPEATED)
        }
        return {
            "consumes": told[racing.TAKEN] + told[racing.REFUSED],
            **told,
            "quantity": self.quantity,
            "room": self.room * len(self.customers),
            "overshoot": overshoot,
            "left_though_asked_for": missed,
            "drift": drift,
            "verify_usage": verified.stdout.strip().splitlines()[-1:],
            "seconds": round(self.seconds, 1),
            "per_second": round(self.consumes / self.seconds, 1),
            "cost": self.cost,
            "failures": self.outcome.failures[:3],
            "holds": (overshoot, drift, missed) == (0, 0, 0)
            and not self.outcome.failures
            and verified.returncode == 0,
        }


class GrantRace(Race):
    """Single units of grants, one of which is voided and one made while all consume."""

    def prepare(self, customers: int) -> None:
        """Make customers with grants instead of what their plan gives."""
        super().prepare(customers)
        self.room, self.quantity = self.consumes // (2 * customers), 1
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

    def disturb(self) -> None:
        """Void a grant of each customer, and make another."""
        for customer in self.customers:
            gone = self.give(customer, "late", priority=9)
            self.system.call("DELETE", f"/api/v1/grants/{gone['id']}")
            self.give(customer, "late", priority=9)


def _path(customer: str, version: int = 2) -> str:
    return f"/api/v{version}/customers/{customer}/entitlements/{FEATURE}"
