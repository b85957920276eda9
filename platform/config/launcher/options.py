"""What the environment decides about a run."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kernel.postgres import innkeeper_home

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
IN_HAND = 32
"""Requests that all serving processes together have in hand at once, hot connections included."""
CONNECTIONS = 8
"""Of a serving process to each role for what is not hot: more would queue in the database."""


class LaunchError(RuntimeError):
    """The system cannot be started as asked; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Options:
    """One run of the launcher.

    Attributes:
        home: directory of all state.
        host: address to listen on (``HOST``, default loopback only).
        port: port to listen on (``PORT``, default 8000).
        workers: serving processes (``INNKEEPER_WORKERS``, default one per core).
        threads: requests that one of them has in hand at once (``INNKEEPER_THREADS``, default 32
            shared among the processes, two at least).
        metrics: directory in which the serving processes share their metrics, their own alone.
    """

    home: Path
    host: str
    port: int
    workers: int
    metrics: Path
    threads: int = 2

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> "Options":
        """Read the environment.

        Raises:
            LaunchError: a number is none, or the port is out of range.
        """
        port = _number(environ, "PORT", 8000)
        if not 1 <= port <= 65535:  # noqa: PLR2004 - the range of ports
            raise LaunchError(f"PORT={port} is no port; use 1 to 65535.")
        workers = max(1, _number(environ, "INNKEEPER_WORKERS", cores()))
        threads = max(1, _number(environ, "INNKEEPER_THREADS", max(2, IN_HAND // workers)))
        host = environ.get("HOST") or "127.0.0.1"
        home = innkeeper_home(environ)
        metrics = Path(environ.get(MULTIPROCESS) or home / "run" / "metrics")
        return cls(home, host, port, workers, metrics, threads)

    @property
    def base_url(self) -> str:
        """How this machine reaches the server."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104 - only compared
        return f"http://{host}:{self.port}"

    @property
    def logs(self) -> Path:
        """Directory of the processes' logs."""
        return self.home / "log"


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    try:
        return int(text)
    except ValueError:
        raise LaunchError(f"{name}={text} is no number.") from None


def cores() -> int:
    """Count the cores this process may use; containers and taskset grant fewer than exist."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
