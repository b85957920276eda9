"""A PostgreSQL of a run's own: the binaries and the configuration that Innkeeper itself uses."""

from __future__ import annotations

from pathlib import Path

from kernel.postgres import ConnectionTarget, Role
from kernel.postgres.account import ServerAccount
from kernel.postgres.cluster import Cluster
from kernel.postgres.layout import Layout
from kernel.postgres.provider import Provider
from kernel.postgres.provision import Provisioner


class BenchCluster:
    """A durable cluster below a folder: commits wait for the disk, as they do in production."""

    def __init__(self, root: Path) -> None:
        account = ServerAccount.choose()
        self._cluster = Cluster(Layout.at(root, account), Provider.find(), account)

    def start(self, database: str) -> ConnectionTarget:
        """Start it with one database and give the way in as the database's owner.

        Raises:
            PostgresError: it does not start.
        """
        self._cluster.start()
        provisioner = Provisioner(self._cluster.bootstrap)
        provisioner.roles()
        provisioner.database(database)
        return self._cluster.bootstrap.to_database(database).as_role(Role.OWNER)

    @property
    def pid(self) -> int:
        """The postmaster's process id.

        Raises:
            RuntimeError: it does not run.
        """
        pid = self._cluster.status().pid
        if pid is None:
            raise RuntimeError("the cluster does not run")
        return pid

    def stop(self) -> None:
        """Stop it."""
        self._cluster.stop()
