"""Create schema ``gate`` with its tables and functions from kernel/sql/{gate,quota}.sql."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    """The gate's schema."""

    initial = True
    dependencies = []
    operations = [
        migrations.RunSQL((_SQL / "gate.sql").read_text(), "DROP SCHEMA gate CASCADE"),
        migrations.RunSQL((_SQL / "quota.sql").read_text(), migrations.RunSQL.noop),
    ]
