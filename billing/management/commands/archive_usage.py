"""Write out and drop the months of the ledger that no plan keeps any longer."""

from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.usage.queries import retention
from billing.usage.queries.retention import Step
from billing.usage.services import archiving
from billing.usage.services.archiving import ArchiveError


class Command(BaseCommand):
    """Archive what is due, oldest month first; safe to interrupt and to run again."""

    help = "Archive and drop months of usage events that have outlived their plans' retention."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to look at."""
        parser.add_argument("--dry-run", action="store_true", help="only say what is due")
        parser.add_argument("--month", help="this month only, YYYY-MM")

    def handle(self, *args: Any, **options: Any) -> None:
        """Archive.

        Raises:
            CommandError: a file could not be read back, or the month is malformed.
        """
        months = None if options["month"] is None else [_month(options["month"])]
        if not options["dry_run"]:
            archiving.sort_strays(months)
        steps = retention.due(datetime.now(UTC).date(), months)
        for number, step in enumerate(steps, start=1):
            self.stdout.write(f"{number} of {len(steps)}: {_told(step)}")
            if options["dry_run"]:
                continue
            try:
                archiving.archive(step, self.stdout.write)
            except ArchiveError as error:
                raise CommandError(str(error)) from error
        if not steps:
            self.stdout.write("nothing is due")


def _told(step: Step) -> str:
    whole = "all of it, then dropped" if step.whole else "the others keep theirs"
    return f"{step.month:%Y-%m}: {len(step.tenants)} tenants, {whole}"


def _month(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise CommandError(f"{text!r} is no month of the form YYYY-MM") from error
