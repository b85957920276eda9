"""Find events by their whole id, at any age."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "usage" / "sql" / "find.sql"


class Migration(migrations.Migration):
    """One function."""

    dependencies = [("billing", "0012_take")]
    operations = [
        migrations.RunSQL(
            _SQL.read_text(encoding="utf-8"), "DROP FUNCTION billing_usage_find(text)"
        )
    ]
