"""Where an installation keeps its state."""

import os
from collections.abc import Mapping
from pathlib import Path

_SOURCE_ROOT = Path(__file__).resolve().parents[3]


def checkout() -> Path | None:
    """Give the working copy this code runs from, or None when it is installed as a wheel."""
    return _SOURCE_ROOT if (_SOURCE_ROOT / "manage.py").is_file() else None


def innkeeper_home(environ: Mapping[str, str] = os.environ) -> Path:
    """Give the absolute directory of all state: INNKEEPER_HOME or ``.innkeeper`` of the checkout.

    Installed as a wheel there is no checkout: then it is ``innkeeper`` in the XDG data home.
    The directory need not exist.
    """
    if configured := environ.get("INNKEEPER_HOME"):
        return Path(configured).expanduser().absolute()
    if (source := checkout()) is not None:
        return source / ".innkeeper"
    data_home = environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data_home) / "innkeeper"


def make_home(home: Path) -> None:
    """Make the directory of all state: private, but passable where root lends the server a user."""
    if not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        home.mkdir(exist_ok=True)
        home.chmod(0o711 if os.geteuid() == 0 else 0o700)
