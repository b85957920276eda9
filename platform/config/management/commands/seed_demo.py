"""``manage.py seed_demo [--output FILE]``: demo tenants, keys, a meter and a staff login."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from config.demo import seed
from kernel.acting import as_system

FILE = "demo.json"


class Command(BaseCommand):
    """Make what a newcomer can try; run again, keep what is there and still holds."""

    help = "Create demo tenants (one a plan), keys, a meter and a staff login; idempotent."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file that keeps the keys."""
        parser.add_argument(
            "--output",
            type=Path,
            help=f"where the keys are kept (0600); default {FILE} in INNKEEPER_HOME",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Seed as the system, across tenants."""
        path = options["output"] or Path(settings.INNKEEPER_HOME) / FILE
        with as_system():
            demo = seed(Path(path))
        if options["verbosity"]:
            slugs = ", ".join(tenant["slug"] for tenant in demo["tenants"])
            self.stdout.write(f"{slugs}; keys and the staff login are in {path}")
