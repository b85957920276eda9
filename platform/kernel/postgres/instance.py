"""The database server of an installation, from its environment: embedded, or one's own."""

import os
import time
from collections.abc import Mapping
from typing import Protocol

import psycopg

from kernel.postgres.account import ServerAccount
from kernel.postgres.cluster import Cluster, Say, silent
from kernel.postgres.errors import PostgresError, StartError
from kernel.postgres.home import innkeeper_home
from kernel.postgres.layout import Layout
from kernel.postgres.provider import Provider
from kernel.postgres.provision import Provisioner
from kernel.postgres.targets import ConnectionTarget, Role, targets, uses_own_server

ADMIN_URL = "DATABASE_ADMIN_URL"
_POLL = 0.5


class Server(Protocol):
    """What the launcher needs of a server, whoever runs it."""

    def start(self) -> bool:
        """Make it usable: running, with roles and database. True if this call started it."""
        ...

    def stop(self) -> bool:
        """Stop it if it is ours to stop; tell whether it was stopped."""
        ...

    def describe(self) -> str:
        """Say in one line what it is and whether it runs."""
        ...


class EmbeddedServer:
    """The server that Innkeeper runs itself."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    @classmethod
    def of_environment(
        cls, environ: Mapping[str, str] = os.environ, say: Say = silent
    ) -> "EmbeddedServer":
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

    def describe(self) -> str:
        """Say whether it runs, which version, and where it lies."""
        status = self.cluster.status()
        if not status.running:
            return f"stopped; data in {status.data}"
        return (
            f"PostgreSQL {status.version} runs as process {status.pid}; "
            f"data in {status.data}, socket in {status.socket}"
        )


class OwnServer:
    """A server that somebody else runs, named by DATABASE_URL."""

    def __init__(self, app: ConnectionTarget, environ: Mapping[str, str], say: Say) -> None:
        self._app = app
        self._environ = environ
        self._say = say

    def start(self, *, seconds: float = 60) -> bool:
        """Make roles and database if DATABASE_ADMIN_URL allows it, and wait until it answers.

        Raises:
            StartError: the app role cannot connect within ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._provision()
                psycopg.connect(self._app.dsn(), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise StartError(
                        f"The database at {self._app.host} does not admit {self._app.user}: {error}"
                    ) from error
                time.sleep(_POLL)
            else:
                return False

    def _provision(self) -> None:
        if not (url := self._environ.get(ADMIN_URL)):
            return
        provisioner = Provisioner(ConnectionTarget.from_url(url))
        found = targets(self._environ)
        provisioner.roles({role: target.password for role, target in found.items()})
        provisioner.database(self._app.name)

    def stop(self) -> bool:
        """Do nothing: it is not ours to stop."""
        self._say("DATABASE_URL names a server of your own; it is left running.")
        return False

    def describe(self) -> str:
        """Say where it is."""
        return f"a server of your own at {self._app.host}, database {self._app.name}"


def server_of_environment(
    environ: Mapping[str, str] = os.environ, say: Say = silent
) -> EmbeddedServer | OwnServer:
    """Give the server this installation uses; DATABASE_URL switches the embedded one off.

    Raises:
        PostgresError: the environment names something that cannot be used.
    """
    if uses_own_server(environ):
        return OwnServer(targets(environ)[Role.APP], environ, say)
    if environ.get("INNKEEPER_DB_SOCKET"):
        raise PostgresError("INNKEEPER_DB_SOCKET names a server that another process manages.")
    return EmbeddedServer.of_environment(environ, say)
