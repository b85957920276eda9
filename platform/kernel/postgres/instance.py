"""The embedded server of an installation, from its environment."""

import os
from collections.abc import Mapping

from kernel.postgres.account import ServerAccount
from kernel.postgres.cluster import Cluster, Say, Status, silent
from kernel.postgres.home import innkeeper_home
from kernel.postgres.layout import Layout
from kernel.postgres.provider import Provider
from kernel.postgres.provision import Provisioner


class Instance:
    """One installation's server, database and roles."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    @classmethod
    def of_environment(
        cls, environ: Mapping[str, str] = os.environ, say: Say = silent
    ) -> "Instance":
        """Find home, binaries and account; nothing is started or made.

        Raises:
            PostgresError: there are no binaries, or no account to run them.
        """
        account = ServerAccount.choose(environ)
        layout = Layout.of_home(innkeeper_home(environ), account)
        return cls(Cluster(layout, Provider.find(environ), account, say=say))

    def start(self) -> bool:
        """Start or attach, then make roles and database. True if this call started the server."""
        started = self.cluster.start()
        provisioner = Provisioner(self.cluster.bootstrap)
        provisioner.roles()
        provisioner.database()
        return started

    def stop(self) -> bool:
        """Stop the server; tell whether one was running."""
        return self.cluster.stop()

    def status(self) -> Status:
        """Look at the server."""
        return self.cluster.status()
