"""The floors on the same server as ours, with the same workers and threads."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.systems.server import GRANIAN, HOST, ROOT, Server, free_port, spawn, wait_until_up


def start(module: str, folder: Path) -> Server:
    """Serve `bench.floors.<module>`.

    Raises:
        StartError: it does not come up.
    """
    port, log = free_port(), folder / f"{module}.log"
    granian = Path(sys.executable).with_name("granian")
    target = f"bench.floors.{module}:application"
    process = spawn(
        [str(granian), *GRANIAN, "--host", HOST, "--port", str(port), target],
        log,
        environ={"PYTHONPATH": str(ROOT)},
    )
    wait_until_up(process, port, "/", log)
    return Server(module, port, process)
