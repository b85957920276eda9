"""Killing workers and PostgreSQL under ingest and consume: what was acknowledged is there, once.

The small version of ``python -m bench.usage kill``.
"""

import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
import requests

from bench.usage import victims
from bench.usage.clients import Client, Consumer, Reporter
from tests.billing.usage.reports import word
from tests.systems import RunningSystem, running_system

pytestmark = pytest.mark.serial
KILLS = int(os.environ.get("INNKEEPER_KILLS", "2"))
PATIENCE = 60.0
BATCH = 40


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with TemporaryDirectory(prefix="innkeeper-kill-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        with running_system(Path(folder) / "home") as running:
            yield running


def define(system: RunningSystem, kind: str) -> None:
    """Let the operator count the events of a type."""
    body = {"slug": kind, "eventType": kind, "aggregation": "SUM", "valueProperty": "$.value"}
    headers = {"Authorization": f"Bearer {system.demo()['platform_key']}"}
    url = f"{system.base_url}/api/v1/meters"
    assert requests.post(url, json=body, headers=headers, timeout=20).status_code == 201


def read(system: RunningSystem, path: str) -> dict:
    """Read as the operator; a worker that was just killed may still be missing."""
    headers = {"Authorization": f"Bearer {system.demo()['platform_key']}"}
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            answer = requests.get(f"{system.base_url}{path}", headers=headers, timeout=20)
        except requests.RequestException:
            continue
        if answer.status_code == 200:
            return answer.json()
        time.sleep(0.2)
    raise TimeoutError(path)


def a_worker(system: RunningSystem) -> int | None:
    return victims.worker(system.record()["sessions"]["server"], spare=0)


def a_backend(system: RunningSystem) -> int | None:
    return victims.backend(system.home)


def clients(system: RunningSystem, kind: str, folder: Path, stop: threading.Event) -> list[Client]:
    """Two senders of single events, two of batches, two that consume."""
    demo = system.demo()
    key = next(one["key"] for one in demo["tenants"] if one["plan"] == "enterprise")
    customer = next(one["slug"] for one in demo["tenants"] if one["plan"] == "basic")
    reporting = [
        Reporter(system.port, folder / f"reported-{place}", stop, key=key, kind=kind, batch=size)
        for place, size in enumerate([1, 1, BATCH, BATCH])
    ]
    consuming = [
        Consumer(
            system.port, folder / f"consumed-{place}", stop,
            key=demo["platform_key"], customers=[customer],
        )
        for place in range(2)
    ]  # fmt: skip
    return [*reporting, *consuming]


@pytest.mark.parametrize("victim", [a_worker, a_backend])
def test_ingest_and_consume__killed_again_and_again__count_what_was_acknowledged_once(
    system, victim, tmp_path
):
    kind = word()
    define(system, kind)
    customer = next(one["slug"] for one in system.demo()["tenants"] if one["plan"] == "basic")
    value = f"/api/v1/customers/{customer}/entitlements/{Consumer.FEATURE}/value"
    before = read(system, value)["usage"]
    stop = threading.Event()
    sending = clients(system, kind, tmp_path, stop)
    for client in sending:
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
            victims.kill(pid)
            kills += 1
    time.sleep(1)
    stop.set()
    for client in sending:
        client.join(timeout=60)

    acknowledged = [
        line for path in tmp_path.glob("reported-*") for line in path.read_text().split()
    ]
    uses = [
        line.split()
        for path in tmp_path.glob("consumed-*")
        for line in path.read_text().splitlines()
    ]
    used = sum(int(quantity) for _, quantity, status in uses if status == "200")
    with victims.owner(system.home) as link:
        kept = link.execute("SELECT id FROM billing_usage_event WHERE type = %s", [kind]).fetchall()
    ids = [row[0] for row in kept]

    assert [client.failure for client in sending if client.failure] == []
    assert kills == KILLS
    assert sum(client.resent for client in sending) > 0
    assert len(ids) == len(set(ids))
    assert set(ids) == set(acknowledged)
    assert read(system, f"/api/v1/meters/{kind}/query")["data"][0]["value"] == len(ids)
    after = read(system, value)
    assert after["usage"] - before == used
    assert after["usage"] <= 100_000
    verified = victims.manage(system.home, "verify_usage")
    assert verified.returncode == 0, verified.stdout
