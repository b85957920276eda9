"""Let a key take the place of another: docs/adr/0140."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql" / "rotation.sql"


class Migration(migrations.Migration):
    """A column without a default and functions: short locks, no rewrite."""

    dependencies = [("kernel", "0015_replies")]
    operations = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop)]
