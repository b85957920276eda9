"""Take single events of several callers for less."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "usage" / "sql"


def _text() -> str:
    merge = (_SQL / "merge.sql").read_text(encoding="utf-8").partition("\n")[2].rstrip()
    return (_SQL / "singles.sql").read_text(encoding="utf-8").replace("-- {{merge}}", merge)


class Migration(migrations.Migration):
    """A function only: no table is touched."""

    dependencies = [("billing", "0016_consume"), ("kernel", "0012_slots")]
    operations = [migrations.RunSQL(_text(), migrations.RunSQL.noop)]
