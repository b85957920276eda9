"""Index the words of each tenant apart; see docs/adr/0130."""

from pathlib import Path
from typing import Any

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql"
_INDEXES = {
    "audit_search_newest": "audit_search (tenant_id, event_id)",
    # Like that of all tenants' words (0003): a search reads the pending list from end to end.
    "audit_search_scoped": (
        "audit_search USING gin (audit_scoped(tenant_id, words))"
        " WITH (gin_pending_list_limit = 256)"
    ),
}
_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"


def build(apps: Any, schema_editor: Any) -> None:
    """Build both indexes beside running searches and the sealer; begun again, it goes on.

    Whoever asks meanwhile searches as before: the rows stay as they are, and the function that
    looks for them is replaced afterwards. Waiting for open transactions holds up nobody, so it has
    no limit; `pg_stat_progress_create_index` shows how far it is.
    """
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = 0")
        for name, what in _INDEXES.items():
            cursor.execute(_VALID, [name])
            found = cursor.fetchone()
            if found is None or not found[0]:
                cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
                cursor.execute(f"CREATE INDEX CONCURRENTLY {name} ON {what}")
        cursor.execute("RESET lock_timeout")


class Migration(migrations.Migration):
    """Two functions, the indexes that need one of them, and the search that uses both."""

    atomic = False
    dependencies = [("audit", "0010_erasures")]
    operations = [
        migrations.RunSQL((_SQL / "scoped.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunPython(build, migrations.RunPython.noop),
        migrations.RunSQL((_SQL / "search.sql").read_text(), migrations.RunSQL.noop),
    ]
