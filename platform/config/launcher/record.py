"""One launcher per home, and what an earlier one left running when it was killed."""

import json
import os
import signal
import time
from pathlib import Path
from typing import TypedDict

from config.launcher.children import kill_session
from config.launcher.options import LaunchError, Options
from kernel.postgres.lock import FileLock

_GRACE = 10.0
_POLL = 0.05


class Facts(TypedDict):
    """What is known about a run: survives a kill of its launcher."""

    launcher: int
    base_url: str
    owns_server: bool
    sessions: dict[str, int]


class RunRecord:
    """Holds the home's lock while a launcher lives; the operating system frees it at its death."""

    def __init__(self, options: Options) -> None:
        """Take the lock.

        Raises:
            LaunchError: another launcher runs on this home.
        """
        folder = options.home / "run"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / "launcher.json"
        self._lock = FileLock(folder / "launcher.lock")
        self.earlier = self._read()
        if not self._lock.try_exclusive():
            where = self.earlier["base_url"] if self.earlier else "unknown address"
            raise LaunchError(f"Innkeeper already runs on {options.home}: {where}.")
        self._facts: Facts = {
            "launcher": os.getpid(),
            "base_url": options.base_url,
            "owns_server": bool(self.earlier and self.earlier["owns_server"]),
            "sessions": {},
        }

    @property
    def owns_server(self) -> bool:
        """Tell whether the database server is this home's run's to stop."""
        return self._facts["owns_server"]

    def end_orphans(self) -> list[str]:
        """End what a killed launcher left behind; give the names."""
        sessions = self.earlier["sessions"] if self.earlier else {}
        orphans = {name: pid for name, pid in sessions.items() if _members(pid)}
        for pid in orphans.values():
            for member in _members(pid):
                _signal(member, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE
        while any(map(_members, orphans.values())) and time.monotonic() < deadline:
            time.sleep(_POLL)
        for pid in orphans.values():
            if _members(pid):
                kill_session(pid)
        return sorted(orphans)

    def note_server(self, *, started: bool) -> None:
        """Remember that this run started the database server (or inherited that duty)."""
        self._facts["owns_server"] = self._facts["owns_server"] or started
        self._write()

    def note_child(self, name: str, pid: int) -> None:
        """Remember a child's session."""
        self._facts["sessions"][name] = pid
        self._write()

    def close(self) -> None:
        """Forget the run after an orderly end."""
        self._path.unlink(missing_ok=True)
        self._lock.close()

    def _read(self) -> Facts | None:
        try:
            found: Facts = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return None
        return found

    def _write(self) -> None:
        staging = self._path.with_suffix(".new")
        staging.write_text(json.dumps(self._facts))
        staging.replace(self._path)


def _members(session: int) -> list[int]:
    """List the living Python processes of a session, as far as /proc can tell.

    A session's number is not given out again while it has members, so what is found with our own
    interpreter in that session is ours.
    """
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            pid = int(entry.name)
            if os.getsid(pid) == session and "python" in (entry / "exe").readlink().name:
                found.append(pid)
        except OSError:
            continue
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return
