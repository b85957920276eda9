"""The database of a test session: one throw-away cluster, one migrated template, one clone each.

Nothing is rolled back or truncated: tests commit for real, as the application's own roles. The
first connection of a session brings everything up, so tests without a database stay instant.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from kernel.postgres.lock import exclusively
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
        self._up = False
        self._cluster: ThrowawayCluster | None = None

    def ensure(self) -> None:
        """Bring it up unless it is; re-entrant, because migrating connects too."""
        if self._up:
            return
        with self._guard:
            if self._cluster is None:
                self._bring_up()
                self._up = True

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
        record.write_text(str(created.root))
        return created

    def _point_at(self, name: str) -> None:
        """Change the settings in place, before Django connects, and those of child processes."""
        assert self._cluster is not None
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
        close_connections()
        self._point_at(name)
        try:
            yield
        finally:
            close_connections()
            self._point_at(self._name)
            provisioner.drop(name)

    def close(self) -> None:
        """Give everything back; the last process of the run removes the cluster."""
        if self._cluster is not None:
            close_connections()
            self._cluster.leave()


def close_connections() -> None:
    """Close this thread's connections and the process' pools, on every alias."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        if connection.settings_dict["OPTIONS"].get("pool"):
            connection.close_pool()


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
