"""Leave a transaction with events open while everybody reports and every consumer runs.

A session of the application's role takes events of a busy tenant, and stores an outbox event, and
does not commit for ``--seconds``. Meanwhile clients of the same tenant report events of the same
series, customers consume, the feed is followed, events are exported, meters are asked. Then it
commits. `holds`: the feed gave out every event exactly once, the writer's too; export, meter and
`verify_usage` agree with what was acknowledged; every outbox event is delivered, and those of
others were while the writer was open; nobody waited as long as it was open.
"""

import argparse
import json
import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import psycopg

from bench.systems import innkeeper
from bench.systems.innkeeper import Guest, Innkeeper
from bench.systems.server import HOST
from bench.usage import victims
from bench.usage.clients import Client, Consumer, Reporter
from kernel.ids import TENANT, decode
from kernel.postgres import Role, targets

KIND: Final = "drill.writer"
METER: Final = "drill_writer"
EVENTS: Final = 50
PATIENCE_S: Final = 60.0
LOAD_AFTER_S: Final = 1.0
"""The load goes on for so long after the commit, so that late events meet later ones."""
POLL_S: Final = 0.1
SIZES: Final = (1, 1, 1, 1, 40, 40)
_TAKE: Final = """
SELECT billing_usage_ingest(
  %(tenant)s, %(tenant)s, NULL, %(ids)s, array_fill('drill'::text, ARRAY[%(many)s]),
  array_fill(%(kind)s::text, ARRAY[%(many)s]), array_fill('s'::text, ARRAY[%(many)s]),
  array_fill(NULL::timestamptz, ARRAY[%(many)s]),
  array_fill('{"value": 1}'::jsonb, ARRAY[%(many)s]), NULL, NULL)
"""
_TELL: Final = """
INSERT INTO kernel_outbox (id, tenant_id, name, payload, occurred_at, available_at)
VALUES (%s, %s, 'drill.writer', '{}', now(), now())
"""
_UNDELIVERED: Final = "SELECT count(*) FROM kernel_outbox WHERE delivered_at IS NULL"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take how long the writer stays open."""
    parser.add_argument("--seconds", type=float, default=30.0)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Start a system, keep a writer open, count."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="innkeeper-writer-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o711)  # the database's account passes through
        system = innkeeper.start(folder)
        stack.callback(system.server.close)
        return Drill(system, folder, options.seconds).run()


class Patient(Reporter):
    """A reporter that remembers the longest wait for an answer."""

    longest_s = 0.0

    def report(self) -> list[str]:
        """Send new events until they are acknowledged."""
        began = time.monotonic()
        sent = super().report()
        self.longest_s = max(self.longest_s, time.monotonic() - began)
        return sent


class Follower(threading.Thread):
    """Follows a tenant's feed until it is told to stop and finds nothing more."""

    def __init__(self, system: Innkeeper, guest: Guest, stop: threading.Event) -> None:
        super().__init__()
        self._system, self._guest, self._stop_now = system, guest, stop
        self.found: list[str] = []

    def run(self) -> None:
        """Follow."""
        after = ""
        while True:
            last = self._stop_now.is_set()
            query = urlencode({"limit": 1000} | ({"after": after} if after else {}))
            path = f"/api/v1/events/feed?{query}"
            page = self._system.call("GET", path, tenant=self._guest.id)
            after = page["next"]
            events = [one["event"] for one in page["items"]]
            self.found += [one["id"] for one in events if one["type"] == KIND]
            if last and not events:
                return
            if not events:
                time.sleep(POLL_S)


class Drill:
    """A busy tenant beside a writer of its own that stays open."""

    def __init__(self, system: Innkeeper, folder: Path, seconds: float) -> None:
        self._system, self._seconds, self._stop = system, seconds, threading.Event()
        self._guest = system.limited_guest("enterprise")
        meter = {"slug": METER, "eventType": KIND, "aggregation": "SUM", "valueProperty": "$.value"}
        system.call("POST", "/api/v1/meters", meter)
        customers = [system.limited_guest("basic").slug for _ in range(2)]
        port = system.server.port
        self._reporting = [
            Patient(
                port, folder / f"reported-{place}", self._stop,
                key=self._guest.key, kind=KIND, batch=size,
            )
            for place, size in enumerate(SIZES)
        ]  # fmt: skip
        consumer = Consumer(
            port, folder / "consumed", self._stop, key=system.platform_key, customers=customers
        )
        self._clients: list[Client] = [*self._reporting, consumer]
        self._reported = threading.Event()
        self._follower = Follower(system, self._guest, self._reported)

    def run(self) -> dict[str, Any]:
        """Keep the writer open under load, commit, and compare."""
        threads = [*self._clients, self._follower]
        with self._writer() as (link, late):
            for thread in threads:
                thread.start()
            time.sleep(self._seconds)  # the drill's subject: open for so long under load
            open_one = self._meanwhile(late)
            link.commit()
        time.sleep(LOAD_AFTER_S)
        self._stop.set()
        for client in self._clients:
            client.join()
        self._reported.set()
        self._follower.join()
        for client in self._clients:
            if client.failure is not None:
                raise RuntimeError(repr(client.failure)) from client.failure
        return self._findings(late, open_one)

    @contextmanager
    def _writer(self) -> Iterator[tuple["psycopg.Connection[tuple[object, ...]]", list[str]]]:
        tenant = decode(TENANT, self._guest.id)
        late = [uuid.uuid4().hex for _ in range(EVENTS)]
        target = targets(victims.environment(self._system.home))[Role.APP]
        with psycopg.connect(target.dsn()) as link:
            link.execute("SELECT set_config('app.tenant', %s, true)", [str(tenant)])
            facts = {"tenant": tenant, "ids": late, "many": EVENTS, "kind": KIND}
            link.execute(_TAKE, facts)
            link.execute(_TELL, [uuid.uuid4(), tenant])
            yield link, late

    def _meanwhile(self, late: list[str]) -> dict[str, Any]:
        """Look while the writer is open."""
        self._settle()
        return {
            "reported": sum(one.acknowledged for one in self._reporting),
            "followed": len(self._follower.found),
            "late_seen": len(set(late) & set(self._follower.found)),
        }

    def _settle(self) -> None:
        """Wait until no outbox event that is committed waits.

        Raises:
            RuntimeError: some wait for longer than the drill's patience.
        """
        deadline = time.monotonic() + PATIENCE_S
        with victims.owner(self._system.home) as link:
            while link.execute(_UNDELIVERED).fetchone() != (0,):
                if time.monotonic() > deadline:
                    raise RuntimeError("outbox events are not delivered")
                time.sleep(POLL_S)

    def _findings(self, late: list[str], meanwhile: dict[str, Any]) -> dict[str, Any]:
        self._settle()
        acknowledged = [id_ for one in self._reporting for id_ in one.log.read_text().split()]
        all_ids = {*acknowledged, *late}
        followed = self._follower.found
        exported = self._exported()
        rows = self._system.call(
            "GET", f"/api/v1/meters/{METER}/query?filterCustomerId={self._guest.id}"
        )["data"]
        metered = int(sum(row["value"] for row in rows))
        verified = victims.manage(self._system.home, "verify_usage")
        longest = max(one.longest_s for one in self._reporting)
        found = {
            "open_s": self._seconds,
            "meanwhile": meanwhile,
            "events": len(all_ids),
            "skipped_by_feed": len(all_ids - set(followed)),
            "repeated_by_feed": len(followed) - len(set(followed)),
            "skipped_by_export": len(all_ids - set(exported)),
            "metered": metered,
            "longest_report_s": round(longest, 2),
            "verify_usage": verified.stdout.strip().splitlines()[-1:],
        }
        found["holds"] = (
            set(followed) == all_ids
            and len(followed) == len(all_ids) == metered == len(exported)
            and meanwhile["late_seen"] == 0
            and meanwhile["followed"] > 0
            and longest < self._seconds / 2
            and verified.returncode == 0
        )
        sys.stderr.write(f"{found}\n")
        return found

    def _exported(self) -> list[str]:
        """Export the tenant's events of the drill; give their ids."""
        url = f"http://{HOST}:{self._system.server.port}/api/v1/events/export?type={KIND}"
        request = Request(url, headers={"Authorization": f"Bearer {self._guest.key}"})
        with urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310 - loopback
            lines = [json.loads(line) for line in answer]
        return [line["event"]["id"] for line in lines if "event" in line]
