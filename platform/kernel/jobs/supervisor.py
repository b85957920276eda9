"""The supervisor: keeps a worker's services alive and says so in the database.

Each service has a thread. One that dies is started again after a pause that doubles up to a
minute and shrinks back once it has lived for a while. A heartbeat row per service tells readiness
and ``manage.py doctor`` who lives.
"""

import os
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from django.db import DatabaseError, InterfaceError, connections

from kernel import db
from kernel.jobs.services import HEARTBEAT_S, Service

TICK_S = 0.5
PAUSE_FIRST_S = 1.0
PAUSE_LONGEST_S = 60.0
STEADY_S = 60.0
STOP_S = 10.0
_log = structlog.get_logger("innkeeper.worker")
_BEAT = """
INSERT INTO kernel_heartbeat AS h (service, process, alive, restarts, at)
VALUES (%s, %s, %s, %s, clock_timestamp())
ON CONFLICT (service, process) DO UPDATE
   SET alive = EXCLUDED.alive, restarts = EXCLUDED.restarts, at = EXCLUDED.at
"""
_FORGET = "DELETE FROM kernel_heartbeat WHERE process = %s OR at < now() - interval '1 day'"


@dataclass
class Running:
    """A service, its thread, and how it has fared. Times are monotonic seconds."""

    service: Service
    thread: threading.Thread | None = None
    restarts: int = 0
    pause: float = PAUSE_FIRST_S
    started: float = 0.0
    due: float = field(default=0.0)

    @property
    def alive(self) -> bool:
        """Tell whether its thread runs."""
        return self.thread is not None and self.thread.is_alive()


class Supervisor:
    """Runs services until :meth:`stop`; returns when all have ended, or after ten seconds."""

    def __init__(self, services: Sequence[Service]) -> None:
        self._running = [Running(service) for service in services]
        self._stop = threading.Event()
        self._process = f"{socket.gethostname()}:{os.getpid()}"
        self._beat_due = 0.0

    def stop(self) -> None:
        """Tell every service to end; safe to call from a signal handler."""
        self._stop.set()

    def run(self) -> bool:
        """Run until stopped; tell whether everything ended in time."""
        try:
            while not self._stop.is_set():
                for running in self._running:
                    self._keep(running)
                self._beat()
                self._stop.wait(TICK_S)
            return self._end()
        finally:
            # A thread that ends with a connection in hand takes it from the pool for ever.
            connections.close_all()

    def _keep(self, running: Running) -> None:
        now = time.monotonic()
        if running.alive:
            if now - running.started > STEADY_S:
                running.pause = PAUSE_FIRST_S
            return
        if running.thread is not None and running.due == 0.0:
            running.due = now + running.pause
            running.pause = min(running.pause * 2, PAUSE_LONGEST_S)
            running.restarts += 1
            _log.error("service.died", service=running.service.name, restarts=running.restarts)
        if now >= running.due:
            running.due = 0.0
            running.started = now
            running.thread = threading.Thread(
                target=self._serve, args=[running.service], name=running.service.name, daemon=True
            )
            running.thread.start()

    def _serve(self, service: Service) -> None:
        try:
            service.run(self._stop)
        except Exception:  # noqa: BLE001 - the job loop: a service must not take the others along
            _log.exception("service.failed", service=service.name)
        finally:
            connections.close_all()

    def _beat(self) -> None:
        now = time.monotonic()
        if now < self._beat_due:
            return
        self._beat_due = now + HEARTBEAT_S
        try:
            with db.use_alias("staff"), db.cursor() as cursor:
                for running in self._running:
                    cursor.execute(
                        _BEAT,
                        [running.service.name, self._process, running.alive, running.restarts],
                    )
        except (DatabaseError, InterfaceError) as error:
            _log.warning("heartbeat.failed", error=str(error).strip())
            connections["staff"].close()

    def _end(self) -> bool:
        deadline = time.monotonic() + STOP_S
        for running in self._running:
            if running.thread is not None:
                running.thread.join(max(deadline - time.monotonic(), 0))
        late = [running.service.name for running in self._running if running.alive]
        if late:
            _log.error("service.late", services=late)
        try:
            with db.use_alias("staff"), db.cursor() as cursor:
                cursor.execute(_FORGET, [self._process])
        except (DatabaseError, InterfaceError) as error:
            _log.warning("heartbeat.failed", error=str(error).strip())
        return not late
