"""Change a tenant's quota windows in sets, under the locks of what a change can touch."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql" / "windows.sql"


class Migration(migrations.Migration):
    """One type and functions that take the place of others."""

    dependencies = [("kernel", "0010_standings")]
    operations = [
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
