"""The HTTP server's command and environment; ``python -m config.launcher.server`` becomes it."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from config.launcher.options import Options

# -P: whatever directory a person starts from adds nothing to Python's path.
PYTHON = (sys.executable, "-P")
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"


def command(options: Options) -> list[str]:
    """Give granian's command: WSGI, two blocking threads a worker, respawn (dependencies.md 3)."""
    return [
        *PYTHON, "-m", "granian",
        "--interface", "wsgi", "--http", "1", "--no-ws",
        "--host", options.host, "--port", str(options.port),
        "--workers", str(options.workers), "--blocking-threads", "2",
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
        "DJANGO_SETTINGS_MODULE": "config.settings",
        MULTIPROCESS: str(options.metrics),
        "PYTHONUNBUFFERED": "1",
    }
    return defaults | {name: value for name, value in environ.items() if name != MULTIPROCESS}


def wipe_metrics(directory: Path) -> None:
    """Empty the metrics directory: files of dead processes would be counted for ever."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def main() -> None:
    """Become granian, for containers and service managers that supervise it themselves."""
    options = Options.read()
    wipe_metrics(options.metrics)
    arguments = command(options)
    os.execve(arguments[0], arguments, environment(options))  # noqa: S606 - becoming it is the point


if __name__ == "__main__":
    main()
