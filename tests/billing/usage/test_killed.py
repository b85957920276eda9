"""Killing workers and PostgreSQL under ingest: what was acknowledged is there, once."""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
import requests

from kernel.postgres import Role, targets
from tests.billing.usage.reports import word
from tests.systems import RunningSystem, running_system

pytestmark = pytest.mark.serial
KILLS = int(os.environ.get("INNKEEPER_KILLS", "2"))
PATIENCE = 60.0
CLIENTS = 4
BATCH = 40


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with TemporaryDirectory(prefix="innkeeper-kill-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        with running_system(Path(folder) / "home") as running:
            yield running


class Client(threading.Thread):
    """Sends batches until told to stop, each until it is acknowledged, and logs each ack."""

    def __init__(self, system: RunningSystem, kind: str, log: Path, stop: threading.Event) -> None:
        super().__init__()
        self._url = f"{system.base_url}/api/v1/events"
        self._key = next(t["key"] for t in system.demo()["tenants"] if t["plan"] == "enterprise")
        self._kind, self._log, self._stop_now = kind, log, stop
        self.resent = 0

    def run(self) -> None:
        with self._log.open("ab") as log:
            while not self._stop_now.is_set():
                ids = [word() for _ in range(BATCH)]
                self._send(ids)
                log.write(("\n".join(ids) + "\n").encode())
                log.flush()
                os.fsync(log.fileno())

    def _send(self, ids: list[str]) -> None:
        now = datetime.now(UTC).isoformat()
        facts = {"source": "kill", "specversion": "1.0", "type": self._kind, "subject": "s"}
        body = json.dumps([facts | {"id": id_, "time": now, "data": {"value": 1}} for id_ in ids])
        headers = {
            "Authorization": f"Bearer {self._key}",
            "Content-Type": "application/cloudevents-batch+json",
        }
        while True:
            try:
                answer = requests.post(self._url, data=body, headers=headers, timeout=20)
            except requests.RequestException:
                answer = None
            if answer is not None and answer.status_code == 204:
                return
            assert answer is None or answer.status_code in (500, 503), answer.text
            self.resent += 1
            time.sleep(0.02)


def define(system: RunningSystem, kind: str) -> None:
    """Let the operator count the events of a type."""
    body = {"slug": kind, "eventType": kind, "aggregation": "SUM", "valueProperty": "$.value"}
    headers = {"Authorization": f"Bearer {system.demo()['platform_key']}"}
    url = f"{system.base_url}/api/v1/meters"
    assert requests.post(url, json=body, headers=headers, timeout=20).status_code == 201


def counted(system: RunningSystem, kind: str) -> int:
    """Read the meter; a worker that was just killed may still be missing."""
    headers = {"Authorization": f"Bearer {system.demo()['platform_key']}"}
    url = f"{system.base_url}/api/v1/meters/{kind}/query"
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            answer = requests.get(url, headers=headers, timeout=20)
        except requests.RequestException:
            continue
        if answer.status_code == 200:
            return int(answer.json()["data"][0]["value"])
        time.sleep(0.2)
    raise TimeoutError(url)


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def a_worker(system: RunningSystem) -> int | None:
    """A process that serves, the oldest: granian starts another some seconds after its death.

    One that has just been started is left alone: granian takes two deaths of one worker within
    5.5 seconds for a crash loop and ends.
    """
    server = system.record()["sessions"]["server"]
    found = [pid for pid in children(server) if b"granian" in cmdline(pid)]
    oldest = max(found, key=age, default=None)
    return oldest if oldest is not None and age(oldest) > 6 else None


def age(pid: int) -> float:
    """How many seconds a process has lived; 0 if it is gone."""
    try:
        started = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return 0.0
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return uptime - started / os.sysconf("SC_CLK_TCK")


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def a_backend(system: RunningSystem) -> int | None:
    """A PostgreSQL backend: its death makes the postmaster restart everything at once."""
    with owner(system) as link:
        row = link.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'innkeeper-gate'"
            " ORDER BY random() LIMIT 1"
        ).fetchone()
    return row[0] if row else None


def owner(system: RunningSystem) -> "psycopg.Connection":
    environ = {**os.environ, "INNKEEPER_HOME": str(system.home)}
    for name in ("DATABASE_URL", "INNKEEPER_DB_SOCKET", "INNKEEPER_DB_NAME"):
        environ.pop(name, None)
    return psycopg.connect(targets(environ)[Role.OWNER].dsn(), autocommit=True)


@pytest.mark.parametrize("victim", [a_worker, a_backend])
def test_ingest__killed_again_and_again__keeps_every_acknowledged_event_once(
    system, victim, tmp_path
):
    kind = word()
    define(system, kind)
    stop = threading.Event()
    clients = [Client(system, kind, tmp_path / str(n), stop) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    kills = 0
    deadline = time.monotonic() + PATIENCE
    while kills < KILLS and time.monotonic() < deadline:
        time.sleep(random.uniform(0.3, 1.0))
        try:
            pid = victim(system)
        except psycopg.OperationalError:
            continue
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            kills += 1
    time.sleep(1)
    stop.set()
    for client in clients:
        client.join(timeout=60)

    acknowledged = [
        line for n in range(CLIENTS) for line in (tmp_path / str(n)).read_text().split()
    ]
    with owner(system) as link:
        kept = link.execute("SELECT id FROM billing_usage_event WHERE type = %s", [kind]).fetchall()
    ids = [row[0] for row in kept]

    assert kills == KILLS
    assert sum(client.resent for client in clients) > 0
    assert len(ids) == len(set(ids))
    assert set(ids) == set(acknowledged)
    assert counted(system, kind) == len(ids)
