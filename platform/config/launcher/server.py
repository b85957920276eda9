"""The HTTP server's command and environment; ``python -m config.launcher.server`` becomes it."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from config.launcher.options import CONNECTIONS, MULTIPROCESS, Options, cores

# -P: whatever directory a person starts from adds nothing to Python's path.
PYTHON = (sys.executable, "-P")


def command(options: Options) -> list[str]:
    """Give granian's command: WSGI, a few blocking threads a worker, respawn."""
    return [
        *PYTHON, "-m", "granian",
        "--interface", "wsgi", "--http", "1", "--no-ws",
        "--host", options.host, "--port", str(options.port),
        "--workers", str(options.workers), "--blocking-threads", str(options.threads),
        # Idle threads take their database connections along when they end: keep them.
        "--blocking-threads-idle-timeout", "600",
        "--respawn-failed-workers", "--respawn-interval", "10",
        "--workers-kill-timeout", "30",
        "--no-access-log",
        "config.wsgi:application",
    ]  # fmt: skip


def environment(options: Options, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Give the variables of every process of a run.

    The metrics directory must be known before Python imports prometheus_client, so it is set here
    and not in the settings.
    """
    defaults = {
        "INNKEEPER_PUBLIC_URL": options.base_url,
        "INNKEEPER_OWN_CORE": str(int(options.workers == cores())),
        "INNKEEPER_POOL_SIZE": str(min(options.threads, CONNECTIONS)),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PYTHONUNBUFFERED": "1",
    }
    return {**defaults, **environ, MULTIPROCESS: str(options.metrics)}


def wipe_metrics(directory: Path) -> None:
    """Remove the metrics of dead processes, which would be counted for ever; make the directory."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for remains in directory.glob("*.db"):
        remains.unlink()


def main() -> None:
    """Become granian, for containers and service managers that supervise it themselves."""
    options = Options.read()
    wipe_metrics(options.metrics)
    arguments = command(options)
    os.execve(arguments[0], arguments, environment(options))  # noqa: S606 - becoming it is the point


if __name__ == "__main__":
    main()
