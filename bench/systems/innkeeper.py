"""Innkeeper itself, started as `make run` does it, on a home of its own that is thrown away."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import processes
from bench.systems.server import (
    HOST,
    ROOT,
    STOP_SECONDS,
    Server,
    StartError,
    free_port,
    spawn,
    wait_until_up,
)

START_SECONDS = 120.0
LAUNCHER = (sys.executable, "-P", "-m", "config.launcher")  # what `make run` ends in
FEATURE = "sso"
ENTITLEMENT = "seats"
METERED = "processed_units"
METER = "bench_calls"
METER_EVENT = "bench.call"
BATCH = 100
REQUESTS_METER = "api_requests"


class RefusedError(RuntimeError):
    """The API refused what a run needs to prepare; the message holds its answer."""


@dataclass(frozen=True, slots=True)
class Guest:
    """One tenant of the run with its key."""

    id: str
    slug: str
    key: str


@dataclass(frozen=True, slots=True)
class Innkeeper:
    """A running system and its operator's key."""

    server: Server
    platform_key: str
    home: Path

    def guests(self, count: int, plan: str, key: dict[str, Any]) -> list[Guest]:
        """Create tenants of a plan, each with one key of the given limits and a meter.

        Raises:
            RefusedError: the API refuses one of them.
        """
        return [self._guest(plan, key) for _ in range(count)]

    def _guest(self, plan: str, key: dict[str, Any]) -> Guest:
        guest = self._tenant(plan, key)
        meter = {
            "slug": METER,
            "eventType": METER_EVENT,
            "aggregation": "SUM",
            "valueProperty": "$.value",
        }
        self.call("POST", "/api/v1/meters", meter, tenant=guest.id)
        return guest

    def _tenant(self, plan: str, key: dict[str, Any]) -> Guest:
        slug = f"bench-{secrets.token_hex(5)}"
        tenant = self.call(
            "POST", "/api/v1/admin/tenants", {"name": slug.title(), "slug": slug, "plan": plan}
        )
        made = self.call(
            "POST", f"/api/v1/admin/tenants/{tenant['id']}/keys", {"name": "bench", **key}
        )
        return Guest(tenant["id"], slug, made["key"])

    def limited_guest(self, plan: str) -> Guest:
        """A tenant whose plan's daily limit binds, and no burst.

        Raises:
            RefusedError: the API refuses it.
        """
        return self._tenant(plan, {"burst": None})

    def counted_requests(self, guest: Guest) -> int:
        """The tenant's API requests of this month as its usage record has them.

        Raises:
            RefusedError: the API refuses to tell, or knows no such meter.
        """
        found = self.call("GET", "/api/v1/usage/current", tenant=guest.id)
        values = {meter["slug"]: meter["value"] for meter in found["meters"]}
        if REQUESTS_METER not in values:
            raise RefusedError(f"usage/current shows no {REQUESTS_METER}: {found}")
        return int(values[REQUESTS_METER])

    def call(self, method: str, path: str, body: Any = None, *, tenant: str = "") -> Any:
        """One API call as the operator, for a tenant if one is named; gives the decoded answer.

        Raises:
            RefusedError: the status is 400 or more.
        """
        connection = http.client.HTTPConnection(HOST, self.server.port, timeout=30)
        headers = {"Authorization": f"Bearer {self.platform_key}"}
        if tenant:
            headers["Innkeeper-Tenant"] = tenant
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise RefusedError(f"{method} {path}: {answer.status} {text[:500].decode()}")
        return json.loads(text) if text else None


def start(folder: Path, command: Sequence[str] = ()) -> Innkeeper:
    """Start database, server and worker through the launcher of `make run`.

    Raises:
        StartError: it does not come up.
    """
    home, port, log = folder / "innkeeper", free_port(), folder / "innkeeper.log"
    environ = {
        "INNKEEPER_HOME": str(home), "PORT": str(port), "DATABASE_URL": "",
        "INNKEEPER_LOG_LEVEL": "warning",
    }  # fmt: skip
    with _kept(ROOT / ".innkeeper" / "demo.json"):
        process = spawn(command or LAUNCHER, log, cwd=ROOT, environ=environ)
        try:
            wait_until_up(process, port, "/readyz", log, seconds=START_SECONDS)
            demo = _demo(home)
            roots = (_postmaster(home),)
        except BaseException:
            processes.stop(process, wait=STOP_SECONDS)
            raise
    server = Server("innkeeper", port, process, database_roots=roots)
    return Innkeeper(server, demo["platform_key"], home)


def _demo(home: Path) -> dict[str, Any]:
    """The demo's keys; complete once the launcher has added this run's address.

    Raises:
        StartError: it does not appear.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads((home / "demo.json").read_text(encoding="utf-8"))
            if "base_url" in found:
                return found
        time.sleep(0.1)
    raise StartError(f"{home / 'demo.json'} does not appear")


@contextlib.contextmanager
def _kept(path: Path) -> Iterator[None]:
    """Put a file back as it was: the launcher writes its demo facts into the checkout as well."""
    before = path.read_bytes() if path.exists() else None
    try:
        yield
    finally:
        if before is None:
            path.unlink(missing_ok=True)
        elif path.read_bytes() != before:
            path.write_bytes(before)


def _postmaster(home: Path) -> int:
    """The process id of the installation's PostgreSQL.

    Raises:
        StartError: its data lies elsewhere, since its account may not pass through to `home`.
    """
    found = next(home.rglob("postmaster.pid"), None)
    if found is None:
        raise StartError(f"no database under {home}: let its account pass through (chmod 711)")
    return int(found.read_text().split("\n", 1)[0])
