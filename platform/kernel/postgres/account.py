"""The operating system's account that the server's processes run as."""

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from kernel.postgres.errors import PostgresError

SETTING = "INNKEEPER_SERVER_ACCOUNT"
_CANDIDATES = ("innkeeper", "postgres", "nobody")
_ENTER = 0o1


class SpawnOptions(TypedDict, total=False):
    """Arguments of :class:`subprocess.Popen` that lower a child to the server's account."""

    user: int
    group: int
    extra_groups: list[int]
    umask: int


def application_account() -> str:
    """Name the account of the running process, the one that peer authentication will see.

    Raises:
        PostgresError: the user id has no name, as in a container with an arbitrary user.
    """
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise PostgresError(
            f"User id {os.geteuid()} has no account name; PostgreSQL needs one. "
            "Add it to /etc/passwd, or set DATABASE_URL to use a server of your own."
        ) from None


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """An existing account; PostgreSQL refuses to run as root, so root lends it another one."""

    name: str
    uid: int
    gid: int

    @classmethod
    def choose(cls, environ: Mapping[str, str] = os.environ) -> "ServerAccount":
        """Pick the account: oneself, or for root the setting > innkeeper > postgres > nobody.

        Accounts are never created.

        Raises:
            PostgresError: root has no such account, or the setting names none.
        """
        if os.geteuid() != 0:
            return cls(application_account(), os.geteuid(), os.getegid())
        configured = environ.get(SETTING)
        for name in (configured,) if configured else _CANDIDATES:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            if entry.pw_uid != 0:
                return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)
        wanted = configured or ", ".join(_CANDIDATES)
        raise PostgresError(
            f"PostgreSQL does not run as root and none of these accounts can be used: {wanted}. "
            f"Set {SETTING} to an existing account, or start as another user than root."
        )

    @property
    def is_borrowed(self) -> bool:
        """Tell whether the server runs as somebody else than this process."""
        return self.uid != os.geteuid()

    def spawn_options(self) -> SpawnOptions:
        """Give what makes a child process run as this account, with private files."""
        if not self.is_borrowed:
            return {"umask": 0o077}
        return {"user": self.uid, "group": self.gid, "extra_groups": [], "umask": 0o077}

    def can_enter(self, directory: Path) -> bool:
        """Tell whether the account can reach ``directory``, judged by its existing parents."""
        if self.uid == 0 or not self.is_borrowed:
            return True
        return all(
            self._has_bit(part, _ENTER) for part in (directory, *directory.parents) if part.exists()
        )

    def _has_bit(self, path: Path, bit: int) -> bool:
        status = path.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & (bit << 6))
        if status.st_gid == self.gid:
            return bool(status.st_mode & (bit << 3))
        return bool(status.st_mode & bit)
