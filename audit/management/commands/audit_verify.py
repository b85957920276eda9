"""``manage.py audit_verify``: checks the stored log; exit code 1 when anything is wrong."""

import json
import os
from argparse import ArgumentParser
from pathlib import Path
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from audit.c2sp.checkpoint import Checkpoint, parse_checkpoint
from audit.c2sp.errors import FormatError
from audit.c2sp.note import parse, signed_by
from audit.sealing.keys import ring
from audit.verification.findings import LogReport, Report, Verdict
from audit.verification.run import verify
from audit.verifier.verify_offboarding import RefutedError
from audit.verifier.verify_offboarding import verify as verify_offline
from kernel.management.arguments import tenant_of


class Command(BaseCommand):
    """Checks every entry's bytes, columns, openings, place, tile, note and anchor."""

    help = "Verify the sealed audit log. Exits with 1 on any fault and names the first bad index."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--tenant", help="only this tenant's logs (ten_… or UUID)")
        parser.add_argument(
            "--since",
            type=Path,
            help="a signed note that was verified before: check only its log, from its size on",
        )
        parser.add_argument(
            "--bundle",
            type=Path,
            help="check an exported bundle (directory) or an off-boarding file (ZIP) instead",
        )
        parser.add_argument(
            "--jobs",
            type=int,
            default=os.cpu_count() or 1,
            help="most processes that share the logs, where they are long enough (default: the"
            " processors); one log is one process's",
        )
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify and report.

        Raises:
            CommandError: with exit code 1, when anything is wrong.
        """
        if options["bundle"]:
            self.stdout.write(_bundle(options["bundle"]))
            return
        tenant = tenant_of(options["tenant"]) if options["tenant"] else None
        console = Console(stderr=True)
        with Progress(console=console, disable=options["json"], transient=True) as bar:
            task = bar.add_task("Verifying", total=None)
            report = verify(
                tenant,
                since=_trusted(options["since"]) if options["since"] else None,
                jobs=options["jobs"],
                announce=lambda total: bar.update(task, total=total),
                progress=lambda count: bar.advance(task, count),
            )
        if options["json"]:
            self.stdout.write(json.dumps(_document(report), indent=1))
        else:
            _show(report, Console(file=cast(IO[str], self.stdout)))
        if options["since"] and not report.logs:
            raise CommandError("The log of this checkpoint is gone.", returncode=1)
        if not report.valid:
            raise CommandError("The audit log is not intact.", returncode=1)


def _bundle(path: Path) -> str:
    """Verify what was exported, by the keys of this instance, those of the past included.

    Raises:
        CommandError: with exit code 1, when the bundle is refuted.
    """
    try:
        return verify_offline(path, "\n".join(ed.vkey for ed, _ in ring().verifiers("x")))
    except RefutedError as error:
        raise CommandError(f"REFUTED: {error}", returncode=1) from error


def _trusted(path: Path) -> Checkpoint:
    """Read a note that one of our keys signed.

    Raises:
        CommandError: the file is no note, or none of ours.
    """
    try:
        note = parse(path.read_text())
        checkpoint = parse_checkpoint(note.text)
    except (OSError, FormatError) as error:
        raise CommandError(f"{path}: {error}") from error
    if not any(signed_by(note, ed) for ed, _ in ring().verifiers(checkpoint.origin)):
        raise CommandError(f"{path} is not signed by a key of this instance")
    return checkpoint


def _document(report: Report) -> dict[str, Any]:
    return {
        "valid": report.valid,
        "checked": report.checked,
        "seconds": round(report.seconds, 3),
        "logs": [
            {
                "log": log.log_id.hex,
                "origin": log.origin,
                "tenant": str(log.tenant_id),
                "size": log.size,
                "checked": log.checked,
                "valid": log.valid,
                "first_bad": log.first_bad,
                "counts": {verdict.value: count for verdict, count in log.counts.items()},
                "findings": [
                    {"verdict": one.verdict.value, "index": one.index, "detail": one.detail}
                    for one in log.findings
                ],
            }
            for log in report.logs
        ],
    }


def _show(report: Report, console: Console) -> None:
    table = Table("log", "tenant", "entries", "verdict", "first bad", "erased", "pruned")
    for log in report.logs:
        table.add_row(
            log.log_id.hex[:12],
            str(log.tenant_id)[:13],
            str(log.checked),
            _verdict(log),
            "" if log.first_bad is None else str(log.first_bad),
            str(log.counts.get(Verdict.ERASED, "")),
            str(log.counts.get(Verdict.PRUNED, "")),
        )
    console.print(table)
    for log in report.logs:
        for finding in log.findings:
            place = "" if finding.index is None else f" at {finding.index}"
            console.print(
                f"{finding.verdict.value}{place}: {finding.detail} (log {log.log_id.hex})"
            )
    rate = report.checked / report.seconds if report.seconds else 0
    console.print(f"{report.checked} entries in {report.seconds:.2f} s ({rate:,.0f}/s)")


def _verdict(log: LogReport) -> str:
    return "valid" if log.valid else ", ".join(sorted(verdict.value for verdict in log.counts))
