"""Let indexing and erasure know of each other; see docs/adr/0123."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    """One function more for the sealer, one replaced for whoever erases."""

    dependencies = [("audit", "0008_viewers")]
    operations = [
        migrations.RunSQL(
            (_SQL / "words.sql").read_text(), "DROP FUNCTION IF EXISTS audit_words_of(uuid)"
        ),
    ]
