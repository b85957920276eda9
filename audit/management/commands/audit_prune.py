"""``manage.py audit_prune``: one round of pruning by the rules of retention, now."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import Progress

from audit.models import Stream
from audit.pruning.plan import Step
from audit.pruning.run import Month, prune
from kernel.errors import Conflict
from kernel.management.arguments import tenant_of


class Command(BaseCommand):
    """Announces what is beyond its retention, then drops it month by month."""

    help = "Prune audit entries beyond their retention. Hashes and proofs stay; holds are kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--tenant", help="only this tenant's logs (ten_… or UUID)")
        parser.add_argument(
            "--dry-run", action="store_true", help="only say what would go; change nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Prune and report.

        Raises:
            CommandError: another round runs, a log lacks hashes, or a month had to wait.
        """
        dry_run: bool = options["dry_run"]
        tenant = tenant_of(options["tenant"]) if options["tenant"] else None
        console = Console(stderr=True)
        with Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
            task = bar.add_task("Looking for old entries", total=None)

            def tell(done: Step | Month) -> None:
                bar.update(task, description=_shown(done), advance=1)
                self.stdout.write(_line(done, dry_run=dry_run))

            try:
                found = prune(tenant, dry_run=dry_run, progress=tell)
            except Conflict as error:
                raise CommandError(error.detail) from error
        verb = "would go" if dry_run else "announced"
        self.stdout.write(f"{found.entries} entries {verb} in {len(found.steps)} logs")
        if found.damaged:
            names = ", ".join(log.hex for log in found.damaged)
            raise CommandError(f"These logs lack hashes and were left alone: {names}")
        if any(month.postponed for month in found.months):
            raise CommandError("Some months have to wait for a long transaction; run it again.")


def _shown(done: Step | Month) -> str:
    return f"Log {done.log.log_id.hex[:12]}" if isinstance(done, Step) else f"Month {done.month}"


def _line(done: Step | Month, *, dry_run: bool) -> str:
    if isinstance(done, Step):
        stream = Stream(done.log.stream).name.lower()
        verb = "would go" if dry_run else "announced"
        return (
            f"log {done.log.log_id.hex} ({stream}) of tenant {done.log.tenant_id}: "
            f"{done.entries} entries {verb}, below place {done.upto}"
        )
    if done.postponed:
        return f"month {done.month:%Y-%m}: postponed, {done.postponed}"
    return f"month {done.month:%Y-%m}: {done.gone} gone, {done.kept} kept, {done.held} held"
