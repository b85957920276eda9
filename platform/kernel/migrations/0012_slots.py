"""Let a transaction add to a slot that no other open one has."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql" / "slots.sql"


class Migration(migrations.Migration):
    """Functions only: no table is touched."""

    dependencies = [("kernel", "0011_windows")]
    operations = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop)]
