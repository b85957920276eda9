"""Innkeeper itself, started as `make run` does it, on a home of its own that is thrown away."""

from __future__ import annotations

import http.client
import json
import secrets
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import processes
from bench.systems.server import HOST, ROOT, Server, free_port, spawn, wait_until_up

START_SECONDS = 120.0
FEATURE = "webhooks"
METER = "bench_calls"
METER_EVENT = "bench.call"
BATCH = 100


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
        """The tenant's API requests of today as its usage record has them.

        Raises:
            RefusedError: the API refuses to tell.
        """
        found = self.call("GET", "/api/v1/usage/current", tenant=guest.id)
        return int(found["api_requests"])

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
    environ = {"INNKEEPER_HOME": str(home), "PORT": str(port), "INNKEEPER_LOG_LEVEL": "warning"}
    process = spawn(command or [sys.executable, "manage.py", "run"], log, cwd=ROOT, environ=environ)
    try:
        wait_until_up(process, port, "/readyz", log, seconds=START_SECONDS)
    except BaseException:
        processes.stop(process, first=signal.SIGINT)
        raise
    demo = json.loads((home / "demo.json").read_text(encoding="utf-8"))
    server = Server("innkeeper", port, process, database_roots=(_postmaster(home),))
    return Innkeeper(server, demo["platform_key"], home)


def _postmaster(home: Path) -> int:
    """The process id of the installation's PostgreSQL."""
    found = next(home.rglob("postmaster.pid"))
    return int(found.read_text().split("\n", 1)[0])
