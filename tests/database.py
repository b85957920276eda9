"""The database of a test session: one throw-away cluster, one migrated template, one clone each.

Nothing is rolled back or truncated: tests commit for real, as the application's own roles. The
first connection of a session brings everything up, so tests without a database stay instant.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper

from kernel.postgres.lock import exclusively
from kernel.postgres.process import Postmaster
from kernel.postgres.throwaway import ThrowawayCluster

TEMPLATE = "innkeeper_template"


class SessionDatabase:
    """Brings the database of this process up on demand; safe from several threads.

    Args:
        shared: directory that all processes of the run share.
        worker: the process' name within the run; its database is called after it.
    """

    def __init__(self, shared: Path, worker: str) -> None:
        self._shared = shared
        self._name = f"innkeeper_{worker}"
        self._guard = threading.RLock()
        self._up = self._rising = False
        self._cluster: ThrowawayCluster | None = None

    def ensure(self) -> None:
        """Bring it up unless it is; re-entrant, because migrating connects too.

        What fails half-way is undone and tried again by the next test: with settings that point
        nowhere, all that follow would only say that there is no socket.
        """
        if self._up:
            return
        with self._guard:
            if self._up or self._rising:
                return
            self._rising = True
            try:
                self._bring_up()
                self._up = True
            finally:
                self._rising = False
                if not self._up:
                    self.close()

    def _bring_up(self) -> None:
        with exclusively(self._shared / "cluster.lock", seconds=300):
            self._cluster = self._join_or_create()
            provisioner = self._cluster.provisioner()
            provisioner.database(self._name, template=TEMPLATE)
        self._point_at(self._name)

    def _join_or_create(self) -> ThrowawayCluster:
        record = self._shared / "cluster"
        if record.exists() and (joined := ThrowawayCluster.join(Path(record.read_text()))):
            self._cluster = joined
            return joined
        created = self._cluster = ThrowawayCluster.create()
        created.provisioner().database(TEMPLATE)
        self._point_at(TEMPLATE)
        call_command("migrate", database="owner", verbosity=0, interactive=False)
        close_connections()
        self._freeze(created)
        record.write_text(str(created.root))
        return created

    @staticmethod
    def _freeze(cluster: ThrowawayCluster) -> None:
        """Keep everybody out of the template: a session that lingers would forbid the clones."""
        with psycopg.connect(cluster.cluster.bootstrap.dsn(), autocommit=True) as link:
            link.execute(f"ALTER DATABASE {TEMPLATE} ALLOW_CONNECTIONS false")
            link.execute(
                "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s",
                [TEMPLATE],
            )

    def _point_at(self, name: str) -> None:
        """Change the settings in place, and those of child processes.

        Pools keep the address they were made with, and Django makes one where it only looks for
        one to close: whatever was made before goes.
        """
        assert self._cluster is not None
        close_connections()
        socket = str(self._cluster.socket)
        for entry in connections.settings.values():
            entry.update(HOST=socket, NAME=name)
        os.environ.update(INNKEEPER_DB_SOCKET=socket, INNKEEPER_DB_NAME=name)

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Give a block a database of its own, to do to it what would spoil other tests' rows."""
        self.ensure()
        assert self._cluster is not None
        provisioner, name = self._cluster.provisioner(), f"{self._name}_elsewhere"
        provisioner.database(name, template=TEMPLATE)
        self._point_at(name)
        try:
            yield
        finally:
            self._point_at(self._name)
            provisioner.drop(name)

    def close(self) -> None:
        """Give everything back; the last process of the run removes the cluster."""
        if self._cluster is not None:
            close_connections()
            self._cluster.leave()
            self._cluster, self._up = None, False

    def autopsy(self) -> str:
        """Tell what is left of the cluster: why tests cannot connect."""
        if self._cluster is None:
            return "The session has no cluster."
        root = self._cluster.root
        if not root.exists():
            return f"{root} is gone: somebody has removed a cluster in use."
        state = self._cluster.cluster.layout
        logs = sorted(state.log.glob("*.log"), key=lambda path: path.stat().st_mtime)
        said = [path.read_text(errors="replace") for path in (state.startup_log, *logs[-1:])]
        running = Postmaster.read(state.data)
        alive = running is not None and running.alive()
        return f"{root}: server alive: {alive}\n" + "\n".join("".join(said).splitlines()[-30:])


def close_connections() -> None:
    """Close this thread's connections and the process' pools, on every alias."""
    for connection in connections.all(initialized_only=True):
        connection.close()
    while DatabaseWrapper._connection_pools:
        _, pool = DatabaseWrapper._connection_pools.popitem()
        pool.close()


def open_lazily(ensure: Callable[[], None]) -> Callable[[], None]:
    """Call ``ensure`` before any connection opens; give the function that undoes it."""
    original = BaseDatabaseWrapper.ensure_connection

    def ensure_connection(self: BaseDatabaseWrapper) -> None:
        ensure()
        original(self)

    BaseDatabaseWrapper.ensure_connection = ensure_connection

    def undo() -> None:
        BaseDatabaseWrapper.ensure_connection = original

    return undo
