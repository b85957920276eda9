"""Use and change the windows of a meter under one lock."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql" / "meters.sql"


class Migration(migrations.Migration):
    """One function, and three that take the place of others."""

    dependencies = [("kernel", "0012_slots")]
    operations = [
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
