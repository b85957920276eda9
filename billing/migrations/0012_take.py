"""Take events for less, and beside writers that stay open."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "usage" / "sql"


def _text() -> str:
    merge = (_SQL / "merge.sql").read_text(encoding="utf-8").partition("\n")[2].rstrip()
    return (_SQL / "take.sql").read_text(encoding="utf-8").replace("-- {{merge}}", merge)


class Migration(migrations.Migration):
    """Functions only: no table is touched."""

    dependencies = [("billing", "0011_customers"), ("kernel", "0012_slots")]
    operations = [migrations.RunSQL(_text(), migrations.RunSQL.noop)]
