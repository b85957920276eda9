"""Whom a drill kills, and how what was killed comes back."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg

from kernel.postgres import Role, targets

YOUNG_S = 6.0
"""Granian takes two deaths of one worker within 5.5 s for a crash loop and ends."""
_INHERITED = ("DATABASE_URL", "INNKEEPER_DB_SOCKET", "INNKEEPER_DB_NAME")


def environment(home: Path) -> dict[str, str]:
    """Give the environment in which commands find the database of a home."""
    environ = {name: value for name, value in os.environ.items() if name not in _INHERITED}
    return environ | {"INNKEEPER_HOME": str(home), "DJANGO_SETTINGS_MODULE": "config.settings"}


def owner(home: Path) -> "psycopg.Connection[tuple[object, ...]]":
    """Connect to a home's database as its owner.

    Raises:
        psycopg.OperationalError: it does not run now.
    """
    return psycopg.connect(targets(environment(home))[Role.OWNER].dsn(), autocommit=True)


def manage(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a management command on a home."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "django", *arguments],
        env=environment(home), capture_output=True, text=True, check=False,
    )  # fmt: skip


def worker(server: int, *, spare: int = 1) -> int | None:
    """Name the oldest serving process below granian's; None while there is none to kill.

    ``spare`` others must be left to serve: granian starts another only seconds after a death.
    """
    old = [pid for pid in _workers(server) if age(pid) > YOUNG_S]
    return max(old, key=age) if len(old) > spare else None


def serving(home: Path) -> list[int]:
    """List the serving processes of a home."""
    record = json.loads((home / "run" / "launcher.json").read_text())
    return _workers(record["sessions"]["server"])


def _workers(server: int) -> list[int]:
    return [pid for pid in children(server) if b"granian" in command_line(pid)]


def backend(home: Path) -> int | None:
    """Name a backend that serves requests: PostgreSQL restarts all of them when one dies so."""
    with owner(home) as link:
        row = link.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name IN"
            " ('innkeeper-gate', 'innkeeper-default') ORDER BY random() LIMIT 1"
        ).fetchone()
    return None if row is None else int(str(row[0]))


def postmaster(home: Path) -> int | None:
    """Name the server process of PostgreSQL."""
    for found in home.rglob("postmaster.pid"):
        return int(found.read_text().split("\n", 1)[0])
    return None


def kill(pid: int) -> None:
    """Give a process no chance to say anything."""
    os.kill(pid, signal.SIGKILL)


def raise_database(home: Path) -> None:
    """Start the database of a home again after its server process was killed.

    Raises:
        RuntimeError: it does not start.
    """
    deadline = time.monotonic() + 60
    while True:
        done = manage(home, "postgres", "start")
        if done.returncode == 0:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(done.stdout + done.stderr)
        time.sleep(0.5)


def children(pid: int) -> list[int]:
    """List the children of a process; none if it is gone."""
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def age(pid: int) -> float:
    """Tell how many seconds a process has lived; 0 if it is gone."""
    try:
        started = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return 0.0
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return uptime - started / os.sysconf("SC_CLK_TCK")


def command_line(pid: int) -> bytes:
    """Give a process' command line; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
