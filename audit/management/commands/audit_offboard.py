"""``manage.py audit_offboard``: hands a leaving tenant its whole log in one file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.exports import offboarding
from audit.pruning.run import prune
from kernel.errors import DomainError
from kernel.management.arguments import tenant_of


class Command(BaseCommand):
    """Writes the file and, where asked to, lets the stored entries go."""

    help = "Write everything of a tenant's audit log into one ZIP file that verifies by itself."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("tenant", help="ten_… or UUID")
        parser.add_argument("file", type=Path, help="the ZIP file to write")
        parser.add_argument(
            "--drop",
            action="store_true",
            help="then prune all ended months of the tenant, whatever its rule; holds are kept",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Write and report.

        Raises:
            CommandError: nothing was sealed, the stored log is damaged, or the file exists.
        """
        tenant = tenant_of(options["tenant"])
        if options["file"].exists():
            raise CommandError(f"{options['file']} exists already")
        try:
            made = offboarding.write(tenant, options["file"], progress=self.stdout.write)
            self.stdout.write(f"{made.path}: {made.entries} entries, SHA-256 {made.digest}")
            if options["drop"]:
                gone = prune(tenant, whole=True)
                self.stdout.write(f"{gone.entries} entries pruned")
        except DomainError as error:
            raise CommandError(error.detail) from error
