"""``manage.py create_staff EMAIL [--group NAME]…``: a staff login, with a made password."""

import secrets
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.services import staff
from kernel.acting import as_system
from kernel.errors import Invalid


class Command(BaseCommand):
    """Make a member of staff, or give an existing person that power and a new password.

    Without a group it is a superuser; with groups it may do what they may, and nothing else.
    """

    help = "Create a superuser, or a member of staff groups, and print the password, once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the e-mail address and the groups."""
        parser.add_argument("email")
        parser.add_argument("--group", action="append", default=[], dest="groups")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it as the system."""
        password = secrets.token_urlsafe(18)
        try:
            with as_system():
                if options["groups"]:
                    user = staff.appoint(options["email"], password, options["groups"])
                else:
                    user = staff.create_superuser(options["email"], password)
        except Invalid as error:
            raise CommandError(error.detail) from error
        self.stdout.write(f"{user.email}\n{password}")
