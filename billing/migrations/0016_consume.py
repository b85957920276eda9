"""Consume many metered entitlements in one transaction."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "entitlements" / "sql" / "consume.sql"


class Migration(migrations.Migration):
    """Two functions."""

    dependencies = [("billing", "0015_digest"), ("kernel", "0015_replies")]
    operations = [
        migrations.RunSQL(
            _SQL.read_text(encoding="utf-8"),
            "DROP FUNCTION billing_consume; DROP FUNCTION billing_use_data",
        ),
    ]
