"""The moment by which a call has ended, even against one who sends a byte a second.

Timeouts of sockets hold for each read. At the deadline a watchdog shuts the connection down, so
that whatever waits for it wakes up.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator

from kernel.outbound.errors import Fault, OutboundError


class Deadline:
    """Counts down from ``seconds`` on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    @property
    def passed(self) -> bool:
        """Tell whether it is over."""
        return time.monotonic() >= self._ends

    def left(self) -> float:
        """Give the seconds that are left.

        Raises:
            OutboundError: none are.
        """
        left = self._ends - time.monotonic()
        if left <= 0:
            raise OutboundError(Fault.TIMEOUT)
        return left

    @contextlib.contextmanager
    def over(self, connected: socket.socket) -> Iterator[None]:
        """Shut the connection down when the time comes, unless the block has ended before.

        The watchdog holds a descriptor of its own: TLS takes the socket's away.
        """
        watched = socket.socket(fileno=os.dup(connected.fileno()))
        watchdog = threading.Timer(self.left(), _cut, [watched])
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()
            watchdog.join()
            watched.close()


def _cut(watched: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was faster
        watched.shutdown(socket.SHUT_RDWR)
