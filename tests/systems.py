"""The whole system as ``make run`` starts it, in a home and on a port of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_INHERITED = (
    "INNKEEPER_DB_SOCKET",
    "INNKEEPER_DB_NAME",
    "INNKEEPER_POOL_SIZE",
    "INNKEEPER_PUBLIC_URL",
    "PORT",
)
_PATIENCE = 120.0


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RunningSystem:
    """One launcher and everything it started."""

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self.port = port
        self.base_url = f"http://127.0.0.1:{port}"
        self.log = home.with_name(f"{home.name}-{time.monotonic_ns()}.log")
        environ = {name: value for name, value in os.environ.items() if name not in _INHERITED}
        environ |= {"INNKEEPER_HOME": str(home), "PORT": str(port)}
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "config.launcher"],
                env=environ,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> str:
        """What the launcher has printed so far."""
        return self.log.read_text()

    def wait_until_shown(self) -> "RunningSystem":
        """Wait for the closing line of the summary."""
        return self.wait_for("Ctrl-C stops everything.")

    def wait_for(self, words: str) -> "RunningSystem":
        """Wait until the launcher says something."""
        deadline = time.monotonic() + _PATIENCE
        while words not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)
        return self

    def demo(self) -> dict[str, Any]:
        """What demo.json holds."""
        return json.loads((self.home / "demo.json").read_text())

    def record(self) -> dict[str, Any]:
        """What the launcher keeps about its run."""
        return json.loads((self.home / "run" / "launcher.json").read_text())

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """End the launcher as a person would and give its status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=60)


@contextmanager
def running_system(home: Path, port: int | None = None) -> Iterator[RunningSystem]:
    """Start a system, wait until it serves, and stop it at the end."""
    system = RunningSystem(home, port or free_port())
    try:
        yield system.wait_until_shown()
    finally:
        system.stop()
