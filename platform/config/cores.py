"""A core of its own for each serving process.

A serving process has one interpreter and so never needs two cores at once. Left to the scheduler
it moves between them all the same, and its threads hand on their turns from core to core: on a
virtual machine each hand-over may wait until the host runs the other core. docs/adr/0148 has the
figures.
"""

import os
from pathlib import Path
from typing import Final

from kernel.postgres.lock import FileLock

_kept: Final[list[FileLock]] = []
"""What holds the core; closed, and so given back, when the process ends."""


def keep_to_one(directory: Path) -> int | None:
    """Keep this thread, and those it starts from now on, on a core that is nobody else's here.

    Processes that share ``directory`` leave each other's cores alone; a core is free again when
    its process ends, however it ends. Return its number; None, and nothing changes, if there are
    not two, all are taken, or the system does not let a process choose.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        return None
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for core in cores:
        lock = FileLock(directory / str(core))
        if lock.try_exclusive() and _keep_to(core):
            _kept.append(lock)
            return core
        lock.close()
    return None


def _keep_to(core: int) -> bool:
    try:
        os.sched_setaffinity(0, {core})
    except OSError:
        return False
    return True
