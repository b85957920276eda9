"""Limit failed authentications of a client network."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql" / "failures.sql"


class Migration(migrations.Migration):
    """A table of the gate's and its two functions."""

    dependencies = [("kernel", "0008_alarms")]
    operations = [
        migrations.RunSQL(
            _SQL.read_text(encoding="utf-8"),
            "DROP FUNCTION gate.forget_failures; DROP FUNCTION gate.count_failure;"
            " DROP TABLE gate.failure",
        )
    ]
