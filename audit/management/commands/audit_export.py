"""``manage.py audit_export``: writes a tenant's logs as bundles that verify without us."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from audit.exports import bundle
from audit.models import HEADS_STREAM, Head, Stream
from kernel.ids import InvalidIdError, decode
from kernel.tenancy import tenant_context


class Command(BaseCommand):
    """Writes ``DIR/<stream>-<epoch>/`` for each log of the tenant."""

    help = "Export a tenant's audit logs as tlog-tiles directories with signed checkpoints."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("tenant", help="ten_… or UUID")
        parser.add_argument("directory", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        """Export.

        Raises:
            CommandError: the tenant id is malformed, or nothing of it has been sealed.
        """
        with tenant_context(_tenant(options["tenant"])):
            heads = list(Head.objects.exclude(stream=HEADS_STREAM))
            if not heads:
                raise CommandError("Nothing of this tenant has been sealed.")
            for head in heads:
                name = f"{Stream(head.stream).name.lower()}-{head.epoch}"
                size = bundle.write(head, options["directory"] / name)
                self.stdout.write(f"{name}: {size} entries of {head.origin}")


def _tenant(text: str) -> UUID:
    try:
        return decode("ten", text)
    except InvalidIdError:
        try:
            return UUID(text)
        except ValueError as error:
            raise CommandError(f"{text} is no tenant id") from error
