"""Recount usage from the ledger and compare it with the roll-ups."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.usage.queries.archives import check
from billing.usage.queries.verification import Difference, closed_months, compared, differences
from billing.usage.services.archive_files import checksum, directory
from kernel import db
from kernel.tenancy import across_tenants


class Command(BaseCommand):
    """Compare each meter's roll-ups with the ledger; exit 1 and name the places that differ."""

    help = "Recount usage from its events and name every difference to the roll-ups."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the range of days and, if not all, the meter."""
        parser.add_argument("--from", dest="start", help="first UTC day, YYYY-MM-DD")
        parser.add_argument("--to", dest="end", help="UTC day after the last, YYYY-MM-DD")
        parser.add_argument("--meter", help="slug of the meters to compare; absent: all")
        parser.add_argument("--archives", action="store_true", help="digest archived files too")

    def handle(self, *args: Any, **options: Any) -> None:
        """Compare.

        Raises:
            CommandError: roll-ups and ledger differ, a day is malformed, or no meter has the slug.
        """
        start, end = _day(options["start"]), _day(options["end"])
        found = 0
        with db.use_alias("staff"), across_tenants():
            for difference in differences(start, end, options["meter"]):
                found += 1
                self.stdout.write(_told(difference))
            meters = compared(options["meter"]).count()
            damaged = self._check_archives() if options["archives"] else 0
            closed = len(closed_months())
        if damaged:
            raise CommandError(f"{damaged} files of the archive are not as they were written")
        if options["meter"] and not meters:
            raise CommandError(f"no meter {options['meter']!r} is counted from events")
        if found:
            raise CommandError(f"{found} buckets differ from the ledger")
        if closed:
            self.stdout.write(f"{closed} months of tenants are archived: not recounted")
        self.stdout.write(f"{meters} meters agree with the ledger")

    def _check_archives(self) -> int:
        """Digest the files, name those that are damaged or missing, and count these."""
        files = list(check(directory(), checksum))
        faults = [file for file in files if file.fault]
        for file in faults:
            self.stdout.write(f"{file.file}: {file.fault}")
        self.stdout.write(f"{len(files) - len(faults)} files of the archive are sound")
        return len(faults)


def _day(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise CommandError(f"{text!r} is no day of the form YYYY-MM-DD") from error


def _told(difference: Difference) -> str:
    place = f"{difference.meter} {difference.tenant_id} {difference.bucket.isoformat()}"
    whom = f"{difference.subject} {list(difference.groups)}"
    return f"{place} {whom}: kept {difference.kept}, ledger says {difference.recounted}"
