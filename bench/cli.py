"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from bench import session
from bench.load.closed_loop import WrkMissingError
from bench.options import PARTS, Options
from bench.report import Report, markdown
from bench.statistics import Verdict

EXIT = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 75}  # 75: try again (sysexits)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for; 0 = all shown, 1 = a claim failed, 75 = inconclusive."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)  # as Ctrl-C: whatever the run started is stopped
    try:
        report = session.run(options(arguments), say)
    except KeyboardInterrupt:
        say("Stopped.")
        return 130
    except WrkMissingError as missing:
        say(str(missing))
        return 2
    print(markdown(report))
    for path in report.write():
        say(f"written: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    if "--record" in (sys.argv[1:] if arguments is None else arguments):
        report.record()
    conclude(report)
    return EXIT[report.verdict()]


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def options(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure Innkeeper beside its floors and the usual assembly, in one run.",
        epilog=f"Parts: {' '.join(PARTS)}. Exit status: 0 shown, 1 failed, 75 inconclusive.",
    )
    parser.add_argument("--quick", action="store_true", help="two rounds of a second, a minute")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, metavar="PART", help="these parts instead of all"
    )
    parser.add_argument("--seconds", type=float, help="of each round of each rung (default 2)")
    parser.add_argument("--rounds", type=int, help="of the ladder, forwards and back (default 6)")
    parser.add_argument("--connections", type=int, default=8, help="of the closed loop (default 8)")
    parser.add_argument(
        "--record", action="store_true", help="put the report into docs/performance.md"
    )
    chosen, usual = parser.parse_args(given), Options()
    return Options(
        parts=tuple(chosen.only or PARTS),
        rounds=chosen.rounds or (2 if chosen.quick else usual.rounds),
        seconds=chosen.seconds or (1.0 if chosen.quick else usual.seconds),
        connections=chosen.connections,
        open_windows=1 if chosen.quick else usual.open_windows,
        command=" ".join(["python -m bench", *given]),
    )


def say(text: str) -> None:
    """Progress goes to standard error, the report to standard output."""
    print(text, file=sys.stderr, flush=True)


def conclude(report: Report) -> None:
    """Say the verdict so that nobody overlooks an inconclusive run."""
    verdict = report.verdict()
    if verdict is Verdict.PASS:
        say("PASS: everything claimed was shown.")
        return
    say("=" * 72)
    say(f"{verdict}: this run does not show what is claimed.")
    if report.objection:
        say(f"  {report.objection}. Repeat it on a quiet machine.")
    for claim in report.claims:
        if claim.verdict is not Verdict.PASS:
            say(f"  {claim.verdict}: {claim.statement}: {claim.found} ({claim.reason})")
    say("=" * 72)
