"""One run: start the systems, climb the ladder, run the legs, judge the claims."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from bench import legs, machine
from bench.ladder import Ladder, Say, climb
from bench.options import Options
from bench.report import RESULTS, Report
from bench.systems import lineup
from bench.systems.lineup import Systems
from bench.systems.server import ROOT


def run(options: Options, say: Say) -> Report:
    """Run everything that the options name and give the report; nothing is left running.

    Raises:
        StartError: a system does not come up.
        RefusedError: our API refuses what the run needs.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="innkeeper-bench-", dir="/tmp"))
        folder.chmod(0o711)  # the database's account passes through
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        calibration = machine.calibrate()
        report = Report(
            commit=_commit(),
            started=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            command=options.command,
            machine=machine.fingerprint(),
            calibration_ms=calibration.quiet_median,
            fdatasync_ms=machine.fdatasync_ms(folder),
            objection=calibration.objection(machine.quietest(RESULTS, "python", calibration)),
        )
        systems = lineup.start(options, folder, stack, say)
        if systems.rungs:
            report.ladder = _climb(options, systems, say)
            report.objection = report.objection or report.ladder.occupancy.objection()
        legs.run(options, systems, report, say)
    report.seconds = time.monotonic() - began
    legs.judge(report, ours=systems.ours is not None)
    return report


def _climb(options: Options, systems: Systems, say: Say) -> Ladder:
    return climb(
        systems.rungs,
        rounds=options.rounds,
        seconds=options.seconds,
        connections=options.connections,
        own_roots=systems.roots(),
        say=say,
    )


def _commit() -> str:
    finished = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return finished.stdout.strip() or "unknown"
