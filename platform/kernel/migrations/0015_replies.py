"""Look up the idempotency keys of many requests at once."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql" / "replies.sql"


class Migration(migrations.Migration):
    """One function."""

    dependencies = [("kernel", "0014_together")]
    operations = [
        migrations.RunSQL(
            _SQL.read_text(encoding="utf-8"),
            "DROP FUNCTION kernel_replies(uuid[], bigint[], bytea[], int)",
        ),
    ]
