"""Work in processes of its own, forked before any connection is open."""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Child:
    """A running piece of work; what it returns comes back as JSON."""

    pid: int
    pipe: int
    read: list[bytes] = field(default_factory=list)

    def result(self) -> Any:
        """Wait for its end and return what it returned.

        Raises:
            RuntimeError: it failed or was killed.
        """
        while chunk := os.read(self.pipe, 1 << 16):
            self.read.append(chunk)
        status = self.wait()
        if status != 0:
            raise RuntimeError(f"a child of the drill ended with {status}")
        return json.loads(b"".join(self.read))

    def wait(self) -> int:
        """Wait for its end; return its exit code, negative for a signal."""
        os.close(self.pipe)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self) -> int:
        """End it without warning."""
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()


def start(work: Callable[[], Any]) -> Child:
    """Run the work in a child. The caller must hold no connection and no second thread."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return Child(pid, reading)
    code = 1
    try:
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(json.dumps(work()).encode())
        code = 0
    except BaseException:  # noqa: BLE001 - nothing of the parent's may run in the child
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def run(work: Callable[[], Any]) -> Any:
    """Run the work in a child and return what it returned."""
    return start(work).result()


def eventually(holds: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait until it holds.

    Raises:
        TimeoutError: it never did.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("the drill waits for something that does not come")
        time.sleep(0.01)
