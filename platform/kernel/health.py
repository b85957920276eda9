"""Health: liveness without any dependency, readiness from a state that a thread keeps fresh.

A request never waits for a check: the watcher looks twice a second and its word holds for two
seconds, so readiness tells the truth within two seconds and stays fast while a database hangs.
"""

import shutil
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

import msgspec
import psycopg
from django.conf import settings
from django.db.migrations.loader import MigrationLoader
from drf_spectacular.utils import extend_schema
from rest_framework import serializers

from kernel.authz import PUBLIC
from kernel.gate.wire import conninfo
from kernel.http.hot import HotEndpoint, HotRequest, LeanResponse, json_response
from kernel.vitals import memory

REFRESH_S = 0.5
STALE_S = 2.0
LAGGING_S = 300.0
MIN_FREE_BYTES = 200 * 1024 * 1024
_encoder = msgspec.json.Encoder()
_OLDEST = """
SELECT coalesce(extract(epoch FROM now() - min(available_at)), 0)::float8 FROM kernel_outbox
 WHERE delivered_at IS NULL AND dead_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class State:
    """What the last look saw. ``checks`` say ok, or what is wrong; ``at`` is monotonic seconds."""

    ready: bool
    checks: dict[str, str] = field(default_factory=dict)
    at: float = 0.0


class Watcher:
    """Looks at what serving needs, twice a second, on a connection of its own."""

    def __init__(self) -> None:
        self._connection: psycopg.Connection[Any] | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._state = State(ready=False, checks={"start": "not looked yet"})

    def state(self) -> State:
        """Give the last state; look now where no thread keeps it fresh."""
        if self._thread is None and time.monotonic() - self._state.at > REFRESH_S:
            with self._lock:
                self.look()
        state = self._state
        if self._thread is not None and time.monotonic() - state.at > STALE_S:
            return State(ready=False, checks={**state.checks, "watcher": "stale"}, at=state.at)
        return state

    def start(self) -> None:
        """Keep the state fresh in a daemon thread from now on."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="health", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it; from then on the state grows stale."""
        if self._thread is not None:
            self._ended.set()
            self._thread.join()

    def look(self) -> State:
        """Look once."""
        checks = {"database": "ok", "migrations": "ok", "outbox": "ok", "disk": _disk()}
        try:
            self._ask(checks)
        except psycopg.Error as error:
            self._drop()
            checks["database"] = type(error).__name__
            checks["migrations"] = checks["outbox"] = "unknown"
        needed = (checks["database"], checks["migrations"], checks["disk"])
        self._state = State(all(x == "ok" for x in needed), checks, time.monotonic())
        return self._state

    def _run(self) -> None:
        while not self._ended.is_set():
            self.look()
            memory.note()
            self._ended.wait(REFRESH_S)

    def _ask(self, checks: dict[str, str]) -> None:
        if self._connection is None:
            self._connection = psycopg.connect(
                conninfo("staff"),
                autocommit=True,
                connect_timeout=2,
                tcp_user_timeout=2000,  # ms; else a cut network would hold the thread for minutes
                options="-c statement_timeout=1000",
                application_name="innkeeper-health",
            )
        applied = set(self._connection.execute("SELECT app, name FROM django_migrations"))
        missing = _migrations() - applied
        if missing:
            checks["migrations"] = f"{len(missing)} not applied"
            return
        [oldest] = self._connection.execute(_OLDEST).fetchone() or [0.0]
        if oldest > LAGGING_S:
            checks["outbox"] = f"oldest event waits {oldest:.0f} s"

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


@cache
def _migrations() -> set[tuple[str, str]]:
    return set(MigrationLoader(None).disk_migrations)


def _disk() -> str:
    home = settings.INNKEEPER_HOME
    free = shutil.disk_usage(home if home.exists() else home.anchor).free
    return "ok" if free >= MIN_FREE_BYTES else f"{free // 1_048_576} MiB free"


watcher = Watcher()
_started = time.monotonic()


class ProbeSerializer(serializers.Serializer[Any]):
    """What a probe says."""

    status = serializers.CharField()
    checks = serializers.DictField(child=serializers.CharField(), required=False)


class HealthSerializer(ProbeSerializer):
    """The whole state."""

    version = serializers.CharField()
    uptime_s = serializers.FloatField()


class Livez(HotEndpoint):
    """Whether this process answers."""

    access: ClassVar = {"GET": PUBLIC}

    @extend_schema(summary="Liveness: the process answers", responses=ProbeSerializer)
    def get(self, request: Any) -> None:
        """Document the method; :meth:`serve` answers it."""

    @classmethod
    def serve(cls, request: HotRequest, **kwargs: str) -> LeanResponse:
        """Answer 200 without looking at anything."""
        return json_response(b'{"status":"ok"}')


class Readyz(HotEndpoint):
    """Whether this process can serve requests: database, migrations, disk."""

    access: ClassVar = {"GET": PUBLIC}

    @extend_schema(summary="Readiness: the deployment can serve", responses=ProbeSerializer)
    def get(self, request: Any) -> None:
        """Document the method; :meth:`serve` answers it."""

    @classmethod
    def serve(cls, request: HotRequest, **kwargs: str) -> LeanResponse:
        """Answer 200 when ready, else 503, with every check's word."""
        state = watcher.state()
        status = 200 if state.ready else 503
        body = {"status": "ok" if state.ready else "unavailable", "checks": state.checks}
        answer = json_response(_encoder.encode(body), status)
        if not state.ready:
            answer.headers["Retry-After"] = "1"
        return answer


class Health(HotEndpoint):
    """The whole state for people and dashboards; always 200 while the process answers."""

    access: ClassVar = {"GET": PUBLIC}

    @extend_schema(summary="Health: version, uptime and checks", responses=HealthSerializer)
    def get(self, request: Any) -> None:
        """Document the method; :meth:`serve` answers it."""

    @classmethod
    def serve(cls, request: HotRequest, **kwargs: str) -> LeanResponse:
        """Answer 200 with version, uptime in seconds and the checks."""
        state = watcher.state()
        body = {
            "status": "ok" if state.ready else "degraded",
            "version": settings.INNKEEPER_VERSION,
            "uptime_s": round(time.monotonic() - _started, 1),
            "checks": state.checks,
        }
        return json_response(_encoder.encode(body))
