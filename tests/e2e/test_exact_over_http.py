"""Limits hold to the unit over real HTTP, also while a serving process is killed."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import requests

from bench.load import counted
from bench.load.wire import json_request
from kernel.ids import new_id
from tests.systems import RunningSystem, running_system

pytestmark = pytest.mark.serial
CLIENTS, PROCESSES = 64, 4


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with TemporaryDirectory(prefix="innkeeper-exact-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        with running_system(Path(folder) / "home") as running:
            yield running


class Guest:
    """A new tenant of a plan with one key that no burst limits."""

    def __init__(self, system: RunningSystem, plan: str) -> None:
        self._system = system
        self._operator = {"Authorization": f"Bearer {system.demo()['platform_key']}"}
        slug = f"exact-{new_id().hex[-12:]}"
        made = self._post("/api/v1/admin/tenants", name=slug, slug=slug, plan=plan)
        self.id = made["id"]
        self.key = self._post(f"/api/v1/admin/tenants/{self.id}/keys", name="k", burst=None)["key"]

    def _post(self, path: str, **body) -> dict:
        answer = requests.post(
            self._system.base_url + path, json=body, headers=self._operator, timeout=30
        )
        assert answer.status_code == 201, answer.text
        return answer.json()

    def send(self, number: int) -> counted.Tally:
        request = json_request("GET", "/api/v1/tenant", self.key)
        return counted.run(
            "127.0.0.1",
            self._system.port,
            request,
            requests=number,
            clients=CLIENTS,
            processes=PROCESSES,
        )

    def metered(self) -> float:
        """What the meter of requests says about this tenant."""
        answer = requests.get(
            f"{self._system.base_url}/api/v1/meters/api_requests/query",
            headers=self._operator | {"Innkeeper-Tenant": self.id},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        return sum(row["value"] for row in answer.json()["data"])


def test_daily_limit__12000_requests_of_64_clients__admits_10000_and_meters_them(system):
    guest = Guest(system, "professional")
    tally = guest.send(12_000)
    assert tally.statuses == {200: 10_000, 429: 2_000}
    assert tally.codes["quota_exceeded"] == 2_000
    refusal = tally.refusal
    assert 1 <= int(refusal["retry-after"]) <= 86_400
    assert refusal["x-ratelimit-limit"] == "10000"
    assert refusal["x-ratelimit-remaining"] == "0"
    assert int(refusal["x-ratelimit-reset"]) % 86_400 == 0  # the moment: a midnight of UTC
    assert '"tenant_daily";q=10000;w=86400' in refusal["ratelimit-policy"]
    assert '"tenant_daily";r=0;t=' in refusal["ratelimit"]
    assert guest.metered() == 10_000


def test_daily_limit__serving_process_killed__never_one_too_many(system):
    guest = Guest(system, "basic")
    killed = threading.Thread(target=kill_one_worker, args=(system, guest))
    killed.start()
    tally = guest.send(2_400)
    killed.join()
    admitted = tally.statuses.get(200, 0)
    assert set(tally.statuses) <= {200, 429}
    assert sum(tally.statuses.values()) + tally.unanswered == 2_400
    assert tally.unanswered > 0, "the kill hit nothing"
    # A killed worker takes answers along and no counts: whatever was admitted is metered.
    assert admitted <= guest.metered() == 1_000
    assert 1_000 - tally.unanswered <= admitted <= 1_000


def kill_one_worker(system: RunningSystem, guest: Guest) -> None:
    """Kill a serving process once the load has begun."""
    deadline = time.monotonic() + 60
    while guest.metered() < 100 and time.monotonic() < deadline:
        time.sleep(0.02)  # polls the meter, bounded by the deadline
    server = system.record()["sessions"]["server"]
    worker = next(pid for pid in descendants(server) if "granian" in name_of(pid))
    os.kill(worker, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    children = [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*children, *(inner for child in children for inner in descendants(child))]


def name_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()
