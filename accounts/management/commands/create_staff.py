"""``manage.py create_staff EMAIL``: a staff login that may do everything, with a made password."""

import secrets
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts.services import staff
from kernel import db, tenancy
from kernel.authz import SYSTEM, set_principal


class Command(BaseCommand):
    """Make a member of staff, or give an existing person that power and a new password."""

    help = "Create a superuser of the staff pages and print its password, once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the e-mail address."""
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it as the system."""
        password = secrets.token_urlsafe(18)
        set_principal(SYSTEM)
        with db.use_alias("staff"), tenancy.across_tenants():
            user = staff.create_superuser(options["email"], password)
        self.stdout.write(f"{user.email}\n{password}")
