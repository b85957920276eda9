"""Tell when a feature may be used again."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql" / "returns.sql"


class Migration(migrations.Migration):
    """One function."""

    dependencies = [("kernel", "0017_admitting")]
    operations = [
        migrations.RunSQL(
            _SQL.read_text(encoding="utf-8"),
            "DROP FUNCTION gate.access_returns(uuid, text, timestamptz)",
        ),
    ]
