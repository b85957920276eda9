"""Let a tenant's events be followed in the order of their transactions."""

from pathlib import Path
from typing import Any

from django.db import migrations

_SQL = Path(__file__).parent.parent / "usage" / "sql" / "feed.sql"
_PARTITIONS = """
SELECT inhrelid::regclass::text FROM pg_inherits
WHERE inhparent = 'billing_usage_event'::regclass ORDER BY 1
"""
_ATTACHED = """
SELECT EXISTS (SELECT FROM pg_inherits WHERE inhparent = 'billing_usage_event_feed'::regclass
                                         AND inhrelid = to_regclass(%s))
"""


def build(apps: Any, schema_editor: Any) -> None:
    """Build the index month by month, beside running ingest; begun again, it goes on.

    A month that is made meanwhile has it from its parent.
    """
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "CREATE INDEX IF NOT EXISTS billing_usage_event_feed"
            " ON ONLY billing_usage_event (tenant_id, xid, seq)"
        )
        cursor.execute(_PARTITIONS)
        for (partition,) in cursor.fetchall():
            index = f"{partition}_feed"
            cursor.execute(_ATTACHED, [index])
            if cursor.fetchone()[0]:
                continue
            cursor.execute(f"DROP INDEX IF EXISTS {index}")
            cursor.execute(
                f"CREATE INDEX CONCURRENTLY {index} ON {partition} (tenant_id, xid, seq)"
            )
            cursor.execute(f"ALTER INDEX billing_usage_event_feed ATTACH PARTITION {index}")


class Migration(migrations.Migration):
    """An index, built without holding up writers, and a function."""

    atomic = False
    dependencies = [("billing", "0013_find")]
    operations = [
        migrations.RunPython(build, migrations.RunPython.noop),
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
