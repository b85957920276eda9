"""``manage.py doctor``: is this deployment healthy, and if not, what is to be done?"""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand
from rich.console import Console
from rich.table import Table

from kernel.doctor import Finding, Verdict, examine

_COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}


class Command(BaseCommand):
    """Examines database, roles, fence, migrations, clock, worker, outbox, keys and disk."""

    help = "Examine the deployment. Exit status 1 if anything fails; warnings do not fail."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare ``--json``."""
        parser.add_argument("--json", action="store_true", help="print findings as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Examine and print."""
        findings = examine()
        if options["json"]:
            self.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=2))
        else:
            Console(file=self.stdout).print(_table(findings))
        if any(finding.verdict is Verdict.FAIL for finding in findings):
            raise SystemExit(1)


def _table(findings: list[Finding]) -> Table:
    table = Table(show_header=True, header_style="bold", box=None)
    table.add_column("check", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("finding")
    for finding in findings:
        mark = f"[{_COLOURS[finding.verdict]}]{finding.verdict}[/]"
        table.add_row(finding.check, mark, finding.detail)
    return table
