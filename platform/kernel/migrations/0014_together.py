"""Decide guarded use for many at once, by the limits that guard it."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql" / "together.sql"


class Migration(migrations.Migration):
    """A type, five functions, and one that takes the place of another."""

    dependencies = [("kernel", "0013_meters")]
    operations = [
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
