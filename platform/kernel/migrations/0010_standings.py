"""Read how the quotas of many tenants stand in one plan."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql" / "standings.sql"


class Migration(migrations.Migration):
    """One function."""

    dependencies = [("kernel", "0009_failures")]
    operations = [
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), "DROP FUNCTION gate.quota_standings")
    ]
