"""Count new meters back beside running ingest."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "usage" / "sql"


def _text() -> str:
    merge = (_SQL / "merge.sql").read_text(encoding="utf-8").partition("\n")[2].rstrip()
    return (_SQL / "backfill.sql").read_text(encoding="utf-8").replace("-- {{merge}}", merge)


class Migration(migrations.Migration):
    """A function only: no table is touched."""

    dependencies = [("billing", "0017_singles")]
    operations = [migrations.RunSQL(_text(), migrations.RunSQL.noop)]
