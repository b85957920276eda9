"""A server process that answers on loopback."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import processes

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
STOP_SECONDS = 40.0
# As `make run` serves: one worker for each core, two blocking threads each.
GRANIAN = (
    "--interface", "wsgi", "--http", "1", "--no-ws", "--workers", str(processes.CPUS),
    "--blocking-threads", "2", "--log-level", "warning",
)  # fmt: skip


class StartError(RuntimeError):
    """A system did not come up; the message holds the end of its log."""


@dataclass(slots=True)
class Server:
    """A running system: where it listens and which process trees do its work."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    database_roots: tuple[int, ...] = ()
    closing: list[Callable[[], None]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Base URL without a slash at its end."""
        return f"http://{HOST}:{self.port}"

    @property
    def roots(self) -> tuple[int, ...]:
        """All process trees of the system."""
        return (self.process.pid, *self.database_roots)

    def own_cpu_seconds(self) -> float:
        """CPU seconds of the system without its database."""
        return processes.cpu_seconds(self.process.pid, without=self.database_roots)

    def close(self) -> None:
        """Stop everything that was started for it."""
        processes.stop(self.process, wait=STOP_SECONDS)
        for close in reversed(self.closing):
            close()


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def spawn(
    command: Sequence[str], log: Path, *, cwd: Path = ROOT, environ: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, its output going to the log file."""
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until_up(
    process: subprocess.Popen[bytes], port: int, path: str, log: Path, *, seconds: float = 30.0
) -> None:
    """Wait until GET `path` is answered with a status below 500.

    Raises:
        StartError: the process ended, or the time is over.
    """
    deadline = time.monotonic() + seconds
    said = "nothing"
    while time.monotonic() < deadline and process.poll() is None:
        status, said = _ask(port, path)
        if status < 500:
            return
        time.sleep(0.1)
    words = log.read_text(errors="replace")[-3000:]
    raise StartError(f"GET {path} on port {port} says {said}. The log ends with\n{words}")


def _ask(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, f"{answer.status} {answer.read(500).decode(errors='replace')}"
    except (OSError, http.client.HTTPException) as error:
        return 599, str(error)
    finally:
        connection.close()
