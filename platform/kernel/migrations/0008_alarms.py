"""Tell in the outbox when use comes near a level: docs/adr/0099."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql" / "alarms.sql"


class Migration(migrations.Migration):
    """Columns with constant defaults, triggers and functions: short locks, no rewrite."""

    dependencies = [("kernel", "0007_burn")]
    operations = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop)]
