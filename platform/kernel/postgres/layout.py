"""Where a cluster's files lie, and who may enter."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from kernel.postgres.account import ServerAccount
from kernel.postgres.errors import ForeignDirectoryError, PostgresError

PORT = 5432
_SOCKET_LIMIT = 107  # bytes of sun_path that PostgreSQL accepts
_SHARED_STATE = Path("/var/lib/innkeeper")
_SHORT = Path("/tmp")  # noqa: S108 - the only short directory everywhere; ownership is checked


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Layout:
    """The directories of one cluster.

    Attributes:
        root: everything below belongs to the launcher.
        socket: directory of the Unix socket, usually ``root/socket``.
        note: why a place differs from the usual one, or an empty text.
    """

    root: Path
    socket: Path
    note: str = ""

    @classmethod
    def of_home(cls, home: Path, account: ServerAccount) -> "Layout":
        """Lay out the cluster of an installation: ``home/postgres``, or a place in reach.

        Existing data wins over reachability, so that a changed mode never hides a database.
        """
        usual = home / "postgres"
        elsewhere = _SHARED_STATE / _digest(home)
        if (elsewhere / "data" / "PG_VERSION").exists() or (
            not account.can_enter(usual) and not (usual / "data" / "PG_VERSION").exists()
        ):
            note = f"{usual} is closed to account {account.name}: the database lies in {elsewhere}."
            return cls.at(elsewhere, account, note)
        return cls.at(usual, account)

    @classmethod
    def at(cls, root: Path, account: ServerAccount, note: str = "") -> "Layout":
        """Lay out a cluster below ``root``; a path too long for a socket gets a short directory."""
        socket = root / "socket"
        if len(os.fsencode(socket / f".s.PGSQL.{PORT}")) > _SOCKET_LIMIT:
            socket = _SHORT / f"innkeeper-{account.uid}-{_digest(root)}"
            note = f"{note} The socket lies in {socket}: its path would be too long.".strip()
        return cls(root, socket, note)

    @property
    def data(self) -> Path:
        """The server's data directory."""
        return self.root / "data"

    @property
    def conf(self) -> Path:
        """Directory of the configuration, written by the launcher at each start."""
        return self.root / "conf"

    @property
    def log(self) -> Path:
        """Directory of the server's rotated log."""
        return self.root / "log"

    @property
    def startup_log(self) -> Path:
        """What the server says before its own log is open."""
        return self.root / "startup.log"

    @property
    def runtime(self) -> Path:
        """Where binaries are copied to if the server's account cannot reach them."""
        return self.root / "runtime"

    @property
    def lock(self) -> Path:
        """The file that keeps two launchers apart."""
        return self.root / "lock"

    @property
    def initialised(self) -> bool:
        """Tell whether a database cluster exists."""
        return (self.data / "PG_VERSION").exists()

    def make_root(self, account: ServerAccount) -> None:
        """Make the directory that everything else and the lock lie in.

        Raises:
            PostgresError: the server's account cannot reach it.
        """
        passable = 0o711 if account.is_borrowed else 0o700
        for directory in reversed((self.root, *self.root.parents)):
            _make(directory, passable)
        if not account.can_enter(self.root):
            raise PostgresError(
                f"Account {account.name} cannot reach {self.root}. Open the way to it, choose "
                "another INNKEEPER_HOME, or start as the user who owns it."
            )

    def make_rest(self, account: ServerAccount) -> None:
        """Make the directories inside, under the lock; existing ones are never taken over.

        Raises:
            ForeignDirectoryError: one of them belongs to somebody else.
        """
        _own(self.conf, os.geteuid(), os.getegid(), 0o755 if account.is_borrowed else 0o700)
        for directory in (self.log, self.socket):
            _own(directory, account.uid, account.gid, 0o700)


def _make(directory: Path, mode: int) -> None:
    """Make a directory if it is missing; several launchers may come at once."""
    try:
        if not directory.exists():
            directory.mkdir(mode=mode)
            directory.chmod(mode)
    except FileExistsError:
        return


def _own(directory: Path, uid: int, gid: int, mode: int) -> None:
    """Make one directory with owner and mode, or make sure that it is already like that."""
    try:
        directory.mkdir(mode=mode)
    except FileExistsError:
        status = directory.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid:
            raise ForeignDirectoryError(
                f"{directory} exists and belongs to user id {status.st_uid}, not {uid}."
            ) from None
        return
    directory.chmod(mode)
    if uid != os.geteuid():
        os.chown(directory, uid, gid)
