"""``manage.py create_platform_key NAME PERMISSION…``: a key of the operator, printed once."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.services import platform_keys
from accounts.services.issuing import NewKey
from kernel.acting import as_system
from kernel.errors import Invalid


class Command(BaseCommand):
    """Issue a platform key: the first one, from which the others follow over the API."""

    help = "Create a platform key with the named permissions ('*:*' is all) and print it, once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take name and permissions."""
        parser.add_argument("name")
        parser.add_argument("permissions", nargs="+", metavar="permission")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it as the system."""
        new = NewKey(name=options["name"], permissions=tuple(options["permissions"]))
        try:
            with as_system():
                issued = platform_keys.create(new)
        except Invalid as error:
            raise CommandError("; ".join(fault.message for fault in error.errors)) from error
        self.stdout.write(issued.text)
