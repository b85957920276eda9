"""The processes that a run consists of."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_POLL = 0.05


class Child:
    """One process in a session of its own, so that Ctrl-C reaches the launcher alone."""

    def __init__(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], log: Path
    ) -> None:
        """Start it; its output goes to ``log``, whose previous content moves to ``log.1``."""
        self.name = name
        self.log = log
        if log.exists():
            log.replace(log.with_name(f"{log.name}.1"))
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own argument list, no shell
                list(command),
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process number, which is also its session's."""
        return self._process.pid

    def ended(self) -> int | None:
        """Give the exit status, or None while it runs."""
        return self._process.poll()

    def wait(self) -> int:
        """Wait for its end and give the exit status."""
        return self._process.wait()

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the process, which stops its own children."""
        if self.ended() is None:
            self._process.send_signal(signal.SIGTERM)

    def see_off(self, deadline: float) -> None:
        """Wait until ``deadline`` (monotonic seconds), then kill what is left of its session."""
        while self.ended() is None and time.monotonic() < deadline:
            time.sleep(_POLL)
        kill_session(self.pid)
        self._process.wait()

    def last_words(self, lines: int = 15) -> str:
        """Give the end of its log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


def kill_session(leader: int) -> None:
    """Kill the process group of a session's leader, even if the leader itself is gone."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
