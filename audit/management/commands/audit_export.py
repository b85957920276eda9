"""``manage.py audit_export``: writes a tenant's logs as bundles that verify without us."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.exports import archive, bundle
from audit.exports.writers import FORMS
from audit.models import HEADS_STREAM, Head, Stream
from audit.queries import proofs
from audit.sealing.checkpoints import ForkRefusedError
from kernel.management.arguments import tenant_of
from kernel.tenancy import tenant_context


class Command(BaseCommand):
    """Writes ``DIR/<stream>-<epoch>/`` for each log of the tenant."""

    help = "Export a tenant's audit logs as tlog-tiles directories with signed checkpoints."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("tenant", help="ten_… or UUID")
        parser.add_argument("directory", type=Path)
        parser.add_argument(
            "--format",
            choices=["bundle", *FORMS],
            default="bundle",
            help="bundle: tlog-tiles directories; csv, parquet: a ZIP file for each log",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Export.

        Raises:
            CommandError: the tenant id is malformed, or nothing of it has been sealed.
        """
        with tenant_context(tenant_of(options["tenant"])):
            heads = list(Head.objects.exclude(stream=HEADS_STREAM))
            if not heads:
                raise CommandError("Nothing of this tenant has been sealed.")
            for head in heads:
                name = f"{Stream(head.stream).name.lower()}-{head.epoch}"
                try:
                    if options["format"] != "bundle":
                        path = options["directory"] / f"{name}-{options['format']}.zip"
                        size = _rows(head, options["format"], path)
                    else:
                        size = bundle.write(head, options["directory"] / name)
                except ForkRefusedError as error:
                    self.stderr.write(f"{name}: left out. {error.detail}")
                    continue
                self.stdout.write(f"{name}: {size} entries of {head.origin}")


def _rows(head: Head, form: str, path: Path) -> int:
    """Write a log as rows, and return their number; the file is whole or not there."""
    published = proofs.signed_part(head.log_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        for piece in archive.stream(form, head, published, head.tenant_id):
            file.write(piece)
    part.replace(path)
    return published.size
