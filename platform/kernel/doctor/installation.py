"""The installation on this machine: its keys and its disk."""

import os
import shutil
import stat
from pathlib import Path

from django.conf import settings

from kernel.doctor.findings import Finding, failed, ok, warning
from kernel.health import MIN_FREE_BYTES

LOW_BYTES = 2 * 1024**3
# Which file of <home>/keys stands in where the setting is not given.
_KEYS = {"django": "SECRET_KEY", "peppers.json": "INNKEEPER_PEPPERS"}
_RESTORE = "Restore it from the backup: a new one invalidates every key or session."


def keys() -> list[Finding]:
    """Find keys that are missing, and those that others on this machine may read."""
    folder = Path(settings.INNKEEPER_HOME) / "keys"
    found = [
        failed("keys", f"{folder / name} is missing and {setting} is not set", _RESTORE)
        for name, setting in _KEYS.items()
        if not os.environ.get(setting) and not (folder / name).is_file()
    ]
    files = sorted(folder.rglob("*")) if folder.is_dir() else []
    for path in (folder, *files) if files else files:
        found += _exposed(path)
    return found or [ok("keys", f"{len(files)} files, private")]


def _exposed(path: Path) -> list[Finding]:
    status = path.stat()
    mode = stat.S_IMODE(status.st_mode)
    allowed = 0o700 if path.is_dir() else 0o600
    found = []
    if mode & ~allowed:
        text = f"{path} has mode {mode:04o}"
        found.append(
            failed("keys", text, f"chmod {allowed:o} {path}; rotate it if others live here")
        )
    if status.st_uid != os.geteuid():
        text = f"{path} belongs to user id {status.st_uid}, not {os.geteuid()}"
        found.append(failed("keys", text, "chown it to the account that Innkeeper runs as."))
    return found


def disk() -> list[Finding]:
    """Look at the space left where keys, spool and the embedded database lie."""
    home = Path(settings.INNKEEPER_HOME)
    free = shutil.disk_usage(home if home.exists() else home.anchor).free
    text = f"{free / 1024**3:.1f} GiB free at {home}"
    remedy = "Make room: below 200 MiB Innkeeper declares itself not ready."
    if free < MIN_FREE_BYTES:
        return [failed("disk", text, remedy)]
    if free < LOW_BYTES:
        return [warning("disk", text, remedy)]
    return [ok("disk", text)]
