"""The usual assembly of packages: its own environment, its own database, gunicorn as people run
it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.systems.cluster import BenchCluster
from bench.systems.server import HOST, ROOT, Server, free_port, spawn, wait_until_up
from kernel.postgres import ConnectionTarget

PEERS = ROOT / "bench" / "peers"
LOCK = PEERS / "requirements.lock.txt"
ENVIRONMENT = PEERS / ".venv"
WORKERS, THREADS = 2, 4
FEATURE = "webhooks"


@dataclass(frozen=True, slots=True)
class Organization:
    """One organisation of the assembly with its key."""

    slug: str
    plan: str
    key: str


def install() -> None:
    """Make the assembly's environment from its lock, unless it is there and of this lock.

    Raises:
        subprocess.CalledProcessError: a package cannot be installed.
    """
    stamp, digest = ENVIRONMENT / "lock.sha256", hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    uv = Path(sys.executable).with_name("uv")
    python = str(ENVIRONMENT / "bin" / "python")
    if uv.exists():
        command = [str(uv), "pip", "sync", "--quiet", "--python", python]
    else:
        command = [python, "-m", "pip", "install", "--quiet"]
    tail = ["--require-hashes", *([] if uv.exists() else ["-r"]), str(LOCK)]
    subprocess.run([*command, *tail], check=True)
    stamp.write_text(digest)


class Assembly:
    """The assembly on a cluster of its own; several servers may share its database."""

    def __init__(self, folder: Path) -> None:
        install()
        self._folder = folder
        self._cluster = BenchCluster(folder / "assembly-postgres")
        self._target = self._cluster.start("assembly")
        self._manage("migrate", "--verbosity", "0")

    def seed(self, count: int, plan: str) -> list[Organization]:
        """Create organisations of a plan, each with one key and the feature granted."""
        output = self._manage("seed", "--count", str(count), "--plan", plan, "--feature", FEATURE)
        return [Organization(**row) for row in json.loads(output)]

    def serve(self, name: str, *, audit: bool = True) -> Server:
        """Start gunicorn; with `audit` off the usage rows leave no audit entry.

        Raises:
            StartError: it does not come up.
        """
        port, log = free_port(), self._folder / f"{name}.log"
        command = [
            str(ENVIRONMENT / "bin" / "gunicorn"), "--worker-class", "gthread",
            "--workers", str(WORKERS), "--threads", str(THREADS), "--log-level", "warning",
            "--bind", f"{HOST}:{port}", "assembly.wsgi:application",
        ]  # fmt: skip
        environ = environment(self._target) | {"ASSEMBLY_AUDIT_USAGE": "1" if audit else "0"}
        process = spawn(command, log, cwd=PEERS, environ=environ)
        wait_until_up(process, port, "/verify", log)
        return Server(name, port, process, database_roots=(self._cluster.pid,))

    def close(self) -> None:
        """Stop the database."""
        self._cluster.stop()

    def _manage(self, *arguments: str) -> str:
        finished = subprocess.run(
            [str(ENVIRONMENT / "bin" / "python"), "manage.py", *arguments],
            cwd=PEERS,
            env={**os.environ, **environment(self._target)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return finished.stdout


def environment(target: ConnectionTarget) -> dict[str, str]:
    """The assembly's settings for a database."""
    return {
        "DJANGO_SETTINGS_MODULE": "assembly.settings",
        "ASSEMBLY_DB_NAME": target.name,
        "ASSEMBLY_DB_USER": target.user,
        "ASSEMBLY_DB_HOST": target.host,
        "ASSEMBLY_DB_PORT": str(target.port),
    }
