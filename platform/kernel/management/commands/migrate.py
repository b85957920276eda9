"""``manage.py migrate``: Django's own, always as the owner."""

from typing import Any

from django.core.management.commands import migrate


class Command(migrate.Command):
    """Change the schema as the role that owns it; no other role may, so none is offered."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Run Django's migrate on the alias ``owner``."""
        options["database"] = "owner"
        super().handle(*args, **options)
