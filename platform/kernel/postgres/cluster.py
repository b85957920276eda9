"""One private PostgreSQL server: initialise, start, attach, stop."""

import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from kernel.postgres import configuration
from kernel.postgres.account import ServerAccount, application_account
from kernel.postgres.children import run, spawn
from kernel.postgres.errors import (
    ForeignDirectoryError,
    MajorVersionError,
    PostgresError,
    StartError,
)
from kernel.postgres.layout import PORT, Layout
from kernel.postgres.lock import exclusively
from kernel.postgres.process import Postmaster, clear_stale_locks
from kernel.postgres.provider import Provider
from kernel.postgres.targets import ConnectionTarget, Role


class _ServerDiedError(StartError):
    """The server that was to be attached to is gone."""


Say = Callable[[str], None]
_POLL = 0.02
_BUILTIN_LOCALE_SINCE = 17


def silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class Status:
    """What :meth:`Cluster.status` found.

    Attributes:
        version: the server's own version, empty if it does not run.
    """

    running: bool
    pid: int | None
    version: str
    data: Path
    socket: Path


class Cluster:
    """The server of one layout. All methods may be called from several processes at once."""

    def __init__(
        self,
        layout: Layout,
        provider: Provider,
        account: ServerAccount,
        *,
        throwaway: bool = False,
        say: Say = silent,
    ) -> None:
        self.layout = layout
        self.provider = provider
        self.account = account
        self.throwaway = throwaway
        self.say = say

    @property
    def bootstrap(self) -> ConnectionTarget:
        """The superuser's way in, for provisioning only."""
        return ConnectionTarget(str(self.layout.socket), PORT, "postgres", Role.BOOTSTRAP)

    def start(self, *, seconds: float = 60) -> bool:
        """Bring the server up, initialising it if there is no data yet.

        Returns:
            True if this call started it, False if it attached to a living server: that one
            belongs to whoever started it.

        Raises:
            PostgresError: see its subclasses; the text says what to do.
        """
        if self.layout.note:
            self.say(self.layout.note)
        try:
            self.layout.make_root(self.account)
            with exclusively(self.layout.lock, seconds=seconds):
                self.layout.make_rest(self.account)
                return self._start_alone(seconds)
        except OSError as error:
            raise PostgresError(f"{self.layout.root} cannot be used: {error}") from error

    def _start_alone(self, seconds: float) -> bool:
        if self._attach(seconds):
            return False
        self._refuse_foreign_data()
        provider = self.provider.reachable_for(self.account, self.layout.runtime)
        major = provider.major(self.account)
        if self.layout.initialised:
            self._refuse_other_major(major, provider)
        else:
            self._initialise(provider, major)
        self._launch(provider, major, seconds)
        return True

    def _attach(self, seconds: float) -> bool:
        """Wait for a living server; False if there is none, or if it dies meanwhile."""
        while self._living() is not None:
            try:
                self._wait_until_ready(None, seconds)
            except _ServerDiedError:
                continue
            return True
        return False

    def stop(self, *, seconds: float = 30) -> bool:
        """Stop the server, whoever started it. Returns whether one was running.

        Raises:
            PostgresError: it still runs after ``seconds``.
        """
        if (server := self._living()) is None:
            return False
        if not server.stop(seconds=seconds):
            raise PostgresError(f"PostgreSQL (process {server.pid}) did not stop in time.")
        return True

    def status(self) -> Status:
        """Look at the server without changing anything."""
        server = self._living()
        version = self._ask("SHOW server_version") if server else ""
        pid = server.pid if server else None
        return Status(server is not None, pid, version, self.layout.data, self.layout.socket)

    def _living(self) -> Postmaster | None:
        server = Postmaster.read(self.layout.data)
        return server if server is not None and server.alive() else None

    def _refuse_foreign_data(self) -> None:
        data = self.layout.data
        if not data.exists():
            return
        if data.is_symlink() or data.stat().st_uid != self.account.uid:
            raise ForeignDirectoryError(
                f"{data} does not belong to account {self.account.name}. Start as the user who "
                "started it before, or choose another INNKEEPER_HOME."
            )
        if not self.layout.initialised:
            raise ForeignDirectoryError(f"{data} exists and is no database cluster; not touched.")

    def _refuse_other_major(self, major: int, provider: Provider) -> None:
        data = self.layout.data
        found = (data / "PG_VERSION").read_text().strip()
        if found == str(major):
            return
        root = self.layout.root
        raise MajorVersionError(
            f"{data} was made by PostgreSQL {found}, but {provider.bin} is PostgreSQL {major}.\n"
            f"Keep the old data and move it over with a dump:\n"
            f"  PG_BIN=<bin of PostgreSQL {found}> manage.py postgres start\n"
            f"  pg_dump --format=custom --file=innkeeper.dump --host={self.layout.socket} "
            f"--username={Role.BOOTSTRAP} innkeeper\n"
            f"  PG_BIN=<bin of PostgreSQL {found}> manage.py postgres stop\n"
            f"  mv {data} {root}/data-{found}\n"
            f"  manage.py postgres start\n"
            f"  pg_restore --host={self.layout.socket} --username={Role.BOOTSTRAP} "
            f"--dbname=innkeeper innkeeper.dump"
        )

    def _initialise(self, provider: Provider, major: int) -> None:
        """Make the cluster beside its place and rename it: a crash leaves no half cluster."""
        self.say("Initialising the database cluster")
        for remains in self.layout.root.glob("staging-*"):
            shutil.rmtree(remains)
        staging = self.layout.root / "staging-cluster"
        borrowed = self.account.is_borrowed
        staging.mkdir(mode=0o700)
        if borrowed:
            shutil.chown(staging, self.account.uid, self.account.gid)
        if major >= _BUILTIN_LOCALE_SINCE:
            locale = ["--locale-provider=builtin", "--locale=C.UTF-8"]
        else:
            locale = ["--locale-provider=icu", "--icu-locale=und", "--locale=C"]
        command: list[str | Path] = [provider.bin / "initdb", "-D", staging, "-U", Role.BOOTSTRAP]
        command += ["-E", "UTF8", *locale, "-k", "--auth=peer"]
        if self.throwaway:
            command.append("--no-sync")
        run(command, self.account)
        staging.rename(self.layout.data)

    def _launch(self, provider: Provider, major: int, seconds: float) -> None:
        """Start ``postgres`` itself; old children of a killed server may still hold its memory."""
        main = configuration.write(
            self.layout, major, application_account(), throwaway=self.throwaway
        )
        clear_stale_locks(self.layout.data, self.layout.socket)
        command: list[str | Path] = [provider.bin / "postgres", "-D", self.layout.data]
        command.append(f"--config-file={main}")
        deadline = time.monotonic() + seconds
        while True:
            child = spawn(command, self.account, self.layout.startup_log)
            try:
                self._wait_until_ready(child, deadline - time.monotonic())
            except StartError:
                words = self._words_of(child.pid)
                if "shared memory" not in words or time.monotonic() > deadline:
                    raise
                time.sleep(_POLL * 10)
            else:
                # It outlives this object and its process: nobody will wait for it here.
                child.returncode = 0
                return

    def _wait_until_ready(self, child: subprocess.Popen[bytes] | None, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                found = self._ask("SHOW data_directory")
            except psycopg.OperationalError as error:
                self._give_up_if_hopeless(error, child, deadline)
                time.sleep(_POLL)
                continue
            if not Path(found).samefile(self.layout.data):
                raise StartError(f"The server at {self.layout.socket} serves {found} instead.")
            return

    def _give_up_if_hopeless(
        self,
        error: psycopg.OperationalError,
        child: subprocess.Popen[bytes] | None,
        deadline: float,
    ) -> None:
        if "authentication failed" in str(error):
            raise StartError(
                f"The server in {self.layout.root} refuses account {application_account()}: it "
                "was started for another user. Start as that user or choose another INNKEEPER_HOME."
            ) from error
        if child is None and self._living() is None:
            raise _ServerDiedError
        if child is not None and child.poll() is not None:
            words = self._words_of(child.pid)
            raise StartError(f"PostgreSQL ended with status {child.returncode}:\n{words}")
        if time.monotonic() > deadline:
            raise StartError(f"PostgreSQL is not ready: {error}\nSee {self.layout.log}.")

    def _words_of(self, pid: int) -> str:
        """Give what one attempt to start said, in the early log and in the rotated one."""
        texts = [path.read_text(errors="replace") for path in self._logs()]
        lines = [line for text in texts for line in text.splitlines() if f"[{pid}]" in line]
        return "\n".join(lines[-20:]) or f"(no words; see {self.layout.log})"

    def _logs(self) -> list[Path]:
        rotated = sorted(self.layout.log.glob("*.log"), key=lambda path: path.stat().st_mtime)
        return [self.layout.startup_log, *rotated[-1:]]

    def _ask(self, statement: str) -> str:
        with psycopg.connect(self.bootstrap.dsn(), connect_timeout=5, autocommit=True) as link:
            row = link.execute(statement.encode()).fetchone()
            return str(row[0]) if row else ""
