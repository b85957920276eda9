"""Verifies logs side by side: each in a process that has its own snapshot of the database.

Logs do not depend on each other, and most of a walk is Python hashing and comparing, which threads
would do in turns. A single log stays one walk.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Final

import django

from audit.c2sp.checkpoint import Checkpoint
from audit.sealing.keys import ring
from audit.verification.findings import LogReport
from audit.verification.log import LogVerifier
from audit.verification.storage import StoredHead
from kernel import db
from kernel.tenancy import across_tenants

WORTH_A_PROCESS: Final = 50_000
"""Places that take about as long to verify as another process takes to start."""


def worthwhile(heads: Sequence[StoredHead], most: int) -> int:
    """Give the number of processes, up to ``most``, that shorten the work on these logs."""
    places = sum(head.size for head in heads)
    return max(1, min(most, len(heads), places // WORTH_A_PROCESS))


def verify_in(
    processes: int,
    heads: Sequence[StoredHead],
    since: Checkpoint | None,
    progress: Callable[[int], None],
) -> list[LogReport]:
    """Verify logs, the longest first, and give their reports in the order of the heads.

    Raises:
        concurrent.futures.process.BrokenProcessPool: one of the processes was killed.
    """
    reports: dict[int, LogReport] = {}
    longest_first = sorted(range(len(heads)), key=lambda place: -heads[place].size)
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=django.setup
    ) as pool:
        running = {pool.submit(_verify, heads[place], since): place for place in longest_first}
        for done in as_completed(running):
            report = reports[running[done]] = done.result()
            progress(report.checked)
    return [reports[place] for place in range(len(heads))]


def _verify(head: StoredHead, since: Checkpoint | None) -> LogReport:
    with db.use_alias("sealer"), across_tenants():
        return LogVerifier(head, ring(), lambda _: None, since).run()
