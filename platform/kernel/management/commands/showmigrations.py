"""``manage.py showmigrations``: Django's own, always as the owner."""

from typing import Any

from django.core.management.commands import showmigrations


class Command(showmigrations.Command):
    """Show what has been migrated, as the role that may read it."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Run Django's showmigrations on the alias ``owner``."""
        options["database"] = "owner"
        super().handle(*args, **options)
