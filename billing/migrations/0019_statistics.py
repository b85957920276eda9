"""Let ANALYZE leave out what no plan depends on."""

from pathlib import Path

from django.db import migrations

_TEXT = Path(__file__).parent.parent.joinpath("usage", "sql", "statistics.sql").read_text("utf-8")


class Migration(migrations.Migration):
    """Settings of columns and a function: no row is touched, nobody waits."""

    dependencies = [("billing", "0018_backfill")]
    operations = [migrations.RunSQL(_TEXT, migrations.RunSQL.noop)]
