"""A file lock that the operating system gives back when its holder dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kernel.postgres.errors import PostgresError

_POLL = 0.05


class FileLock:
    """An advisory lock on one file; released by :meth:`close` or the end of the process."""

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(path, flags, 0o600)
        self.path = path

    def shared(self) -> None:
        """Hold the lock together with others, giving up an exclusive hold."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """Take the lock alone if nobody else holds it; tell whether it worked."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Give the lock back. Safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@contextmanager
def exclusively(path: Path, *, seconds: float = 60) -> Iterator[FileLock]:
    """Hold ``path`` alone inside the block.

    Raises:
        PostgresError: another process kept it for longer than ``seconds``.
    """
    lock = FileLock(path)
    deadline = time.monotonic() + seconds
    try:
        while not lock.try_exclusive():
            if time.monotonic() > deadline:
                raise PostgresError(f"Another launcher has held {path} for {seconds:.0f} seconds.")
            time.sleep(_POLL)
        yield lock
    finally:
        lock.close()
