"""Running the server's programs: as the server's account, in a clean environment."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kernel.postgres.account import ServerAccount
from kernel.postgres.errors import PostgresError

_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")


def clean_environment() -> dict[str, str]:
    """Give a child's environment: no ``PG*``, no secrets of the application, C locale."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {"PATH": "/usr/bin:/bin", "HOME": "/", "LC_ALL": "C", "LANG": "C", **kept}


def run(command: Sequence[str | Path], account: ServerAccount, *, seconds: float = 120) -> str:
    """Run one of the server's programs to its end and give what it printed.

    Raises:
        PostgresError: it failed; the text carries its own words.
    """
    try:
        done = subprocess.run(  # noqa: S603 - our own argument list, no shell
            [str(part) for part in command],
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            env=clean_environment(),
            cwd="/",
            **account.spawn_options(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise PostgresError(f"{command[0]} could not run as {account.name}: {error}") from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()
        raise PostgresError(f"{command[0]} failed with status {done.returncode}:\n{words}")
    return done.stdout


def spawn(
    command: Sequence[str | Path], account: ServerAccount, log: Path
) -> subprocess.Popen[bytes]:
    """Start the server in a session of its own: a Ctrl-C at the terminal does not reach it."""
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - our own argument list, no shell
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=clean_environment(),
            cwd="/",
            start_new_session=True,
            **account.spawn_options(),
        )
