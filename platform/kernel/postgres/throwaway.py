"""Clusters for tests: fast, private, shared by processes and removed by the last of them."""

import os
import shutil
import tempfile
import time
from pathlib import Path

from kernel.postgres.account import ServerAccount
from kernel.postgres.cluster import Cluster
from kernel.postgres.layout import Layout
from kernel.postgres.lock import FileLock
from kernel.postgres.provider import Provider
from kernel.postgres.provision import Provisioner

_PLACE = Path("/tmp")  # noqa: S108 - in reach of the server's account; mkdtemp makes it private
_PREFIX = "innkeeper-test-"
_SETTLED = 60.0


class ThrowawayCluster:
    """A cluster without durability in a directory of its own.

    Every process that uses it holds a shared lock on ``users``, which the operating system gives
    back even after SIGKILL: whoever can take it alone is the last one and removes everything.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        account = ServerAccount.choose()
        layout = Layout.at(root, account)
        self.cluster = Cluster(layout, Provider.find(), account, throwaway=True)
        self._users: FileLock | None = None

    @classmethod
    def create(cls) -> "ThrowawayCluster":
        """Make and start a new one with the four roles, after sweeping what dead ones left."""
        sweep()
        root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_PLACE))
        root.chmod(0o711)
        made = cls(root)
        made._hold()
        made.cluster.start()
        Provisioner(made.cluster.bootstrap).roles()
        return made

    @classmethod
    def join(cls, root: Path) -> "ThrowawayCluster | None":
        """Use the one at ``root`` too, or give None if its last user has removed it."""
        if not (root / "users").exists():
            return None
        joined = cls(root)
        try:
            joined._hold()
        except FileNotFoundError:  # removed since the look
            return None
        if joined.cluster.status().running:
            return joined
        joined.leave()
        return None

    @property
    def socket(self) -> Path:
        """Directory of the Unix socket."""
        return self.cluster.layout.socket

    def provisioner(self) -> Provisioner:
        """Give what makes databases here."""
        return Provisioner(self.cluster.bootstrap)

    def leave(self) -> None:
        """Stop using it; the last user stops the server and removes the directory."""
        if self._users is None:
            return
        if self._users.try_exclusive():
            self._remove()
        self._users.close()
        self._users = None

    def _hold(self) -> None:
        self._users = FileLock(self.root / "users")
        self._users.shared()

    def _remove(self) -> None:
        self.cluster.stop()
        shutil.rmtree(self.root, ignore_errors=True)
        if self.socket.parent != self.root:
            shutil.rmtree(self.socket, ignore_errors=True)


def sweep() -> None:
    """Remove clusters whose users have all died. Directories of other people are left alone."""
    for root in _PLACE.glob(f"{_PREFIX}*"):
        try:
            status = (root / "users").stat()
        except OSError:
            continue
        if status.st_uid == os.geteuid() and time.time() - status.st_mtime > _SETTLED:
            abandoned = ThrowawayCluster(root)
            try:
                abandoned._users = FileLock(root / "users")
            except FileNotFoundError:  # another one was faster
                continue
            abandoned.leave()
