"""``manage.py staff_group NAME PERMISSION…``: what a group of staff may do over the API."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.services import staff
from kernel.acting import as_system
from kernel.errors import Invalid


class Command(BaseCommand):
    """Make a group of staff, or give it exactly these permissions; none takes all away."""

    help = "Set what a staff group may do over the operator's API, for example 'tenants:read'."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take name and permissions."""
        parser.add_argument("name")
        parser.add_argument("permissions", nargs="*", metavar="permission")

    def handle(self, *args: Any, **options: Any) -> None:
        """Change it as the system."""
        try:
            with as_system():
                staff.set_group(options["name"], options["permissions"])
        except Invalid as error:
            raise CommandError("; ".join(fault.message for fault in error.errors)) from error
        self.stdout.write(" ".join([options["name"], *sorted(set(options["permissions"]))]))
