"""Let quotas burn grants down: columns of gate.quota, table gate.burn, functions of burn.sql."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    """Columns with constant defaults and replaced functions: short locks, no rewrite."""

    dependencies = [("kernel", "0006_groups")]
    operations = [
        migrations.RunSQL((_SQL / "burn.sql").read_text(), migrations.RunSQL.noop),
    ]
