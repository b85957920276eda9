"""Let the owner's functions work for several tenants' callers in one statement."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql" / "groups.sql"


class Migration(migrations.Migration):
    """Two functions; nothing that exists changes."""

    dependencies = [("kernel", "0005_outbox_order")]
    operations = [
        migrations.RunSQL(
            _SQL.read_text(encoding="utf-8"),
            "DROP FUNCTION gate.presented; DROP FUNCTION gate.count_usage",
        )
    ]
