"""Kill serving processes and PostgreSQL at random moments under ingest and consume.

Clients retry with the same ids and idempotency keys. Afterwards every acknowledged event is in the
ledger exactly once and nothing else is; meters say what the ledger says (``verify_usage``); each
customer's quota counter is what was acknowledged, and never above the limit.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from bench.systems import innkeeper
from bench.systems.innkeeper import Guest, Innkeeper, RefusedError
from bench.usage import victims
from bench.usage.clients import Client, Consumer, Reporter

KIND = "drill.killed"
BATCH = 40
PATIENCE_S = 90.0
VICTIMS = ("worker", "backend", "postmaster")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take the number of rounds and what to kill."""
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))  # noqa: S311 - a drill, no secret
    parser.add_argument("--only", nargs="+", choices=VICTIMS, default=list(VICTIMS))
    parser.add_argument("--every", type=int, default=20, help="rounds between verifications")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Kill as often as asked, then count."""
    random.seed(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="innkeeper-kill-", dir="/tmp"))
    folder.chmod(0o711)  # the database's account passes through
    ours = innkeeper.start(folder)
    try:
        drill = Drill(ours, folder)
        drill.start()
        for number in range(options.rounds):
            drill.round(random.choice(options.only))  # noqa: S311 - a drill, no secret
            say(f"round {number + 1} of {options.rounds}: {drill.told()}")
            if (number + 1) % options.every == 0:
                drill.check_figures()
        drill.stop()
        return {"seed": options.seed, "rounds": options.rounds, **drill.findings()}
    finally:
        ours.server.close()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Drill:
    """A system under load, with what was killed so far."""

    ours: Innkeeper
    folder: Path
    reporting: list[Reporter] = field(default_factory=list)
    consuming: list[Consumer] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    stop_now: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Make tenants and let clients loose on them."""
        self.meter = {
            "slug": "drill_killed", "eventType": KIND, "aggregation": "SUM",
            "valueProperty": "$.value",
        }  # fmt: skip
        self.ours.call("POST", "/api/v1/meters", self.meter)
        self.guests = [self.ours.limited_guest("enterprise") for _ in range(3)]
        self.customers = [self.ours.limited_guest("basic") for _ in range(4)]
        port = self.ours.server.port
        sizes = [1, 1, 1, 1, 1, 1, BATCH, BATCH]
        self.reporting = [
            Reporter(
                port, self.folder / f"reported-{place}", self.stop_now,
                key=self.guests[place % len(self.guests)].key, kind=KIND, batch=size,
            )
            for place, size in enumerate(sizes)
        ]  # fmt: skip
        self.consuming = [
            Consumer(
                port, self.folder / f"consumed-{place}", self.stop_now,
                key=self.ours.platform_key, customers=[one.slug for one in self.customers],
            )
            for place in range(6)
        ]  # fmt: skip
        for client in self.clients:
            client.start()

    @property
    def clients(self) -> list[Client]:
        """All that report."""
        return [*self.reporting, *self.consuming]

    def round(self, victim: str) -> None:
        """Kill one thing at a random moment, and wait until every client gets through again.

        Raises:
            RuntimeError: it does not come back, or a client met what it must not.
        """
        # A moment of its own each time, so that a kill meets whatever is under way.
        time.sleep(random.uniform(0.05, 0.8))  # noqa: S311 - a drill, no secret
        pid, victim = self._find(victim)
        began = time.monotonic()
        with suppress(ProcessLookupError):
            victims.kill(pid)
        self.killed[victim] += 1
        if victim == "postmaster":
            victims.raise_database(self.ours.home)
        before = [client.acknowledged for client in self.clients]
        while any(c.acknowledged <= b for c, b in zip(self.clients, before, strict=True)):
            self._raise_failures()
            if time.monotonic() - began > PATIENCE_S:
                raise RuntimeError(f"not back {PATIENCE_S:g} s after killing a {victim}")
            time.sleep(0.02)
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    def _find(self, victim: str) -> tuple[int, str]:
        """Name a process, and its kind: a backend where no worker may be killed just now.

        Raises:
            RuntimeError: there is none.
        """
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with suppress(psycopg.OperationalError):
                pid = self._look(victim)
                if pid is not None:
                    return pid, victim
            if victim == "worker":
                victim = "backend"
            time.sleep(0.1)
        raise RuntimeError(f"there is no {victim} to kill")

    def _look(self, victim: str) -> int | None:
        if victim == "backend":
            return victims.backend(self.ours.home)
        if victim == "postmaster":
            return victims.postmaster(self.ours.home)
        record = json.loads((self.ours.home / "run" / "launcher.json").read_text())
        return victims.worker(record["sessions"]["server"])

    def _raise_failures(self) -> None:
        for client in self.clients:
            if client.failure is not None:
                raise RuntimeError(f"{client.name}: {client.failure!r}") from client.failure

    def told(self) -> str:
        """Say how far it is."""
        reports = sum(one.acknowledged for one in self.reporting)
        uses = sum(one.acknowledged for one in self.consuming)
        resent = sum(one.resent for one in self.clients)
        return f"{reports} reports, {uses} consumes, {resent} resent, killed {dict(self.killed)}"

    def stop(self) -> None:
        """Let every client get its last answer."""
        self.stop_now.set()
        for client in self.clients:
            client.join(timeout=PATIENCE_S)
        self._raise_failures()

    def check_figures(self) -> None:
        """Compare roll-ups with the ledger beside the running load.

        Raises:
            RuntimeError: they differ.
        """
        done = victims.manage(self.ours.home, "verify_usage")
        if done.returncode != 0:
            raise RuntimeError(done.stdout[-3000:] + done.stderr[-1000:])

    def findings(self) -> dict[str, Any]:
        """Count everything."""
        acknowledged = [line for one in self.reporting for line in one.log.read_text().split()]
        with victims.owner(self.ours.home) as link:
            kept = [
                str(row[0])
                for row in link.execute(
                    "SELECT id FROM billing_usage_event WHERE type = %s", [KIND]
                ).fetchall()
            ]
        seen = set(kept)
        lost = len(set(acknowledged) - seen)
        extra = len(seen - set(acknowledged))
        doubled = len(kept) - len(seen)
        metered = self._metered("drill_killed", None)
        verified = victims.manage(self.ours.home, "verify_usage")
        uses = self._uses()
        found = {
            "killed": dict(self.killed),
            "events": len(acknowledged),
            "resent": sum(one.resent for one in self.clients),
            "lost": lost,
            "doubled": doubled,
            "unacknowledged_kept": extra,
            "metered": metered,
            "verify_usage": verified.stdout.strip().splitlines()[-1:],
            "consumes": uses,
            "slowest_recovery_s": round(self.slowest_s, 2),
        }
        found["holds"] = (
            (lost, doubled, extra) == (0, 0, 0)
            and metered == len(kept)
            and verified.returncode == 0
            and all(one["exact"] for one in uses.values())
        )
        return found

    def _uses(self) -> dict[str, dict[str, Any]]:
        """Compare what each customer was told with what the database counted."""
        told: dict[str, Counter[str]] = defaultdict(Counter)
        for one in self.consuming:
            for line in one.log.read_text().splitlines():
                customer, quantity, status = line.split()
                told[customer]["used"] += int(quantity) if status == "200" else 0
                told[customer]["admitted"] += status == "200"
                told[customer]["refused"] += status != "200"
        return {one.slug: self._use(one, told[one.slug]) for one in self.customers}

    def _use(self, customer: Guest, told: Counter[str]) -> dict[str, Any]:
        path = f"/api/v1/customers/{customer.slug}/entitlements/{Consumer.FEATURE}/value"
        value = self._read(path)
        metered = self._metered(Consumer.FEATURE, customer)
        limit = 100_000
        return {
            **told,
            "counted": value["usage"],
            "metered": metered,
            "exact": told["used"] == value["usage"] == metered and metered <= limit,
        }

    def _metered(self, slug: str, customer: Guest | None) -> int:
        path = f"/api/v1/meters/{slug}/query"
        if customer is not None:
            path += f"?filterCustomerId={customer.id}"
        return int(sum(row["value"] for row in self._read(path)["data"]))

    def _read(self, path: str) -> Any:
        """Ask as a client does: again after a 503, since a pool may still hold connections to the
        PostgreSQL of before the last kill.

        Raises:
            RefusedError: any other refusal, or that one for too long.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.ours.call("GET", path)
            except RefusedError as refused:
                if ": 503 " not in str(refused) or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)  # as a client that was told to try again


def say(text: str) -> None:
    """Progress goes to standard error."""
    print(text, file=sys.stderr, flush=True)
