"""Recount usage from the ledger and compare it with the roll-ups."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.usage.queries.verification import Difference, compared, differences
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
        if options["meter"] and not meters:
            raise CommandError(f"no meter {options['meter']!r} is counted from events")
        if found:
            raise CommandError(f"{found} buckets differ from the ledger")
        self.stdout.write(f"{meters} meters agree with the ledger")


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
