"""Resident memory of this process. prometheus_client's own figure is missing with several ones."""

import resource
from pathlib import Path

from prometheus_client import Gauge

_STATM = Path("/proc/self/statm")
_resident = Gauge(
    "innkeeper_process_resident_bytes",
    "Memory that the process holds",
    multiprocess_mode="liveall",
)


def resident_bytes() -> int:
    """Read the resident size; elsewhere than on Linux the largest it ever was."""
    try:
        pages = int(_STATM.read_text().split()[1])
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return pages * resource.getpagesize()


def note() -> None:
    """Publish the figure; the health watcher calls it once a second."""
    _resident.set(resident_bytes())
