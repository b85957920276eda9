"""The running server as the operating system sees it."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

_POLL = 0.01
_NAME = "postgres"


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What ``postmaster.pid`` in a data directory says."""

    pid: int
    data: Path

    @classmethod
    def read(cls, data: Path) -> "Postmaster | None":
        """Read the file; None if there is none or a crash left half of it."""
        try:
            lines = (data / "postmaster.pid").read_text().splitlines()
            return cls(int(lines[0]), Path(lines[1]))
        except (OSError, ValueError, IndexError):
            return None

    def alive(self) -> bool:
        """Tell whether the process lives and, where the system can say, is this very server."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return self._is_ours() is not False

    def _is_ours(self) -> bool | None:
        """Compare the process' directory, which the server makes its data; None = cannot tell."""
        try:
            return Path(f"/proc/{self.pid}/cwd").samefile(self.data)
        except PermissionError:
            pass
        except OSError:
            return None if not Path("/proc/self").exists() else False
        try:
            return Path(f"/proc/{self.pid}/comm").read_text().strip() == _NAME
        except OSError:
            return False

    def stop(self, *, seconds: float) -> bool:
        """End the server with SIGINT (its fast shutdown) and wait; never SIGKILL.

        Returns:
            Whether it has ended within ``seconds``.
        """
        try:
            os.kill(self.pid, signal.SIGINT)
        except ProcessLookupError:
            return True
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            _reap(self.pid)
            if not self.alive():
                return True
            time.sleep(_POLL)
        return False


def _reap(pid: int) -> None:
    """Collect the server if it is our child: until then its number still looks alive."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def clear_stale_locks(data: Path, socket: Path) -> None:
    """Remove the lock files of a dead server whose number still, or again, belongs to a process.

    PostgreSQL itself copes with a free number, but refuses to start beside a living one: another
    program that took the number since, or a killed server that nobody has collected yet. The
    caller holds the launcher's lock, so no living server of ours can come up meanwhile.
    """
    for lock in (data / "postmaster.pid", *socket.glob(".s.PGSQL.*.lock")):
        try:
            pid = int(lock.read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            continue
        if not Postmaster(pid, data).alive():
            lock.unlink(missing_ok=True)
