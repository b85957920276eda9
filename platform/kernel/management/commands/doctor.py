"""``manage.py doctor``: examine this deployment."""

from argparse import ArgumentParser
from typing import IO, Any, cast

import orjson
from django.core.management.base import BaseCommand
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kernel.doctor import Finding, Verdict, examine

_UNWRAPPED = 2000
_STYLES = {
    Verdict.OK: "green",
    Verdict.WARNING: "yellow",
    Verdict.FAILED: "bold red",
    Verdict.SKIPPED: "dim",
}


class Command(BaseCommand):
    """Examines database, roles, fence, worker, keys and disk; exit status 1 on any failure."""

    help = (
        "Examine this deployment: database, roles, row-level security, migrations, clock, worker, "
        "keys, disk. Exit status 1 if anything failed; warnings alone give 0."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare ``--json`` and ``--quiet``."""
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        parser.add_argument("--quiet", action="store_true", help="print only what is not ok")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run every check and print the findings.

        Raises:
            SystemExit: with status 1 if one failed.
        """
        findings = examine()
        failed = any(finding.verdict is Verdict.FAILED for finding in findings)
        shown = [f for f in findings if not options["quiet"] or f.verdict is not Verdict.OK]
        if options["json"]:
            self.stdout.write(_document(shown, healthy=not failed))
        elif shown:
            self._table(shown)
        if failed:
            raise SystemExit(1)

    def _table(self, findings: list[Finding]) -> None:
        table = Table("check", "", "finding", box=None, pad_edge=False)
        for finding in findings:
            verdict = Text(finding.verdict, style=_STYLES[finding.verdict])
            table.add_row(finding.check, verdict, _words(finding))
        terminal = self.stdout.isatty()
        # A file or a pipe has no width: paths there stay in one piece.
        Console(file=cast("IO[str]", self.stdout), width=None if terminal else _UNWRAPPED).print(
            table
        )


def _words(finding: Finding) -> Text:
    words = Text(finding.detail)
    if finding.remedy:
        words.append(f"\n→ {finding.remedy}", style="dim")
    return words


def _document(findings: list[Finding], *, healthy: bool) -> str:
    return orjson.dumps(
        {"healthy": healthy, "findings": findings}, option=orjson.OPT_INDENT_2
    ).decode()
