"""What was acknowledged is in the very next read, also when another process answers it."""

import http.client
import json
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kernel.ids import new_id
from tests.systems import RunningSystem

METER = FEATURE = "processed_units"
MOST_CONNECTIONS = 200


class Door:
    """A connection that stays open, and the process that answers on it."""

    def __init__(self, system: RunningSystem, key: str) -> None:
        self._key = key
        self._link = http.client.HTTPConnection("127.0.0.1", system.port, timeout=30)
        self._link.connect()
        self.port = self._link.sock.getsockname()[1]
        self._server = system.port

    @cached_property
    def process(self) -> int:
        """The process that has accepted the connection, which its first answer proves."""
        self.ask("GET", "/livez")
        return owner_of(self._server, self.port)

    def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        self._link.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._link.getresponse()
        text = answer.read()
        assert answer.status == status, (method, path, answer.status, text)
        return json.loads(text) if text and path != "/livez" else None

    def close(self) -> None:
        self._link.close()


def owner_of(port: int, client: int) -> int:
    """Find the process that holds the server's end of a connection from a client's port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    ends = (f"0100007F:{port:04X}", f"0100007F:{client:04X}")
    (inode,) = [fields[9] for fields in map(str.split, lines) if tuple(fields[1:3]) == ends]
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(entry.readlink()) == f"socket:[{inode}]":
                return int(entry.parts[2])
        except OSError:
            continue
    raise AssertionError(f"no process holds socket {inode}")


@pytest.fixture(scope="module")
def customer(whole_system: RunningSystem) -> dict[str, str]:
    operator = Door(whole_system, whole_system.demo()["platform_key"])
    slug = f"next-{new_id().hex[-12:]}"
    facts = {"name": slug, "slug": slug, "plan": "professional"}
    made = operator.ask("POST", "/api/v1/admin/tenants", facts, 201)
    path = f"/api/v1/admin/tenants/{made['id']}/keys"
    key = operator.ask("POST", path, {"name": "k", "burst": None, "daily": None}, 201)["key"]
    operator.close()
    return {"slug": slug, "key": key}


@pytest.fixture
def doors(whole_system: RunningSystem, customer: dict[str, str]) -> Iterator[list[Door]]:
    """One door of each of two serving processes."""
    opened: list[Door] = []
    while len({door.process for door in opened}) < 2 and len(opened) < MOST_CONNECTIONS:
        # Many at once: a process that is busy with one leaves the next to another.
        opened += [Door(whole_system, customer["key"]) for _ in range(20)]
    by_process = {door.process: door for door in opened}
    if len(by_process) < 2:
        pytest.skip("the system serves with one process on this machine")
    yield list(by_process.values())[:2]
    for door in opened:
        door.close()


def queried(reader: Door, customer: dict[str, str]) -> Any:
    return reader.ask("GET", f"/api/v1/meters/{METER}/query")["data"][0]["value"]


def entitled(reader: Door, customer: dict[str, str]) -> Any:
    path = f"/api/v1/customers/{customer['slug']}/entitlements/{FEATURE}/value"
    return reader.ask("GET", path)["usage"]


def paged(reader: Door, customer: dict[str, str]) -> Any:
    meters = reader.ask("GET", "/api/v1/usage/current")["meters"]
    return next(meter["value"] for meter in meters if meter["slug"] == METER)


def test_event__acknowledged_by_one_process__is_in_the_next_read_of_another(
    customer: dict[str, str], doors: list[Door]
) -> None:
    total, readings = 0, [queried, entitled, paged]
    for writer, reader in pairwise([*doors, *doors, *doors]):
        assert writer.process != reader.process
        total += 7
        event = {"id": new_id().hex, "source": "e2e", "type": METER, "subject": "s"}
        writer.ask("POST", "/api/v1/events", event | {"data": {"quantity": 7}}, 204)

        assert [read(reader, customer) for read in readings] == [total] * 3

        readings.append(readings.pop(0))  # another one comes first after the next event
