"""Read many events of a tenant with its amendments joined once."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "usage" / "sql" / "wide.sql"


class Migration(migrations.Migration):
    """A view and a function: no table is touched."""

    dependencies = [("billing", "0009_archive")]
    operations = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop)]
