"""Admit many callers in one statement."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql" / "admitting.sql"


class Migration(migrations.Migration):
    """One function."""

    dependencies = [("kernel", "0016_rotation")]
    operations = [
        migrations.RunSQL(
            _SQL.read_text(encoding="utf-8"),
            "DROP FUNCTION gate.admit_many(text[], bytea[], inet[], bigint[], text)",
        ),
    ]
