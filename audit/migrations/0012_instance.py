"""Give the instance a name that stays when its address changes; see docs/adr/0144."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import migrations

from kernel.tenancy.operations import SEALER, GrantTable, grant

_SQL = Path(__file__).parent.parent / "sql"
# The origin of a log ends in a slash and 32 hex digits. Row-level security holds the owner, too.
_NAME = """
ALTER TABLE audit_head NO FORCE ROW LEVEL SECURITY;
INSERT INTO audit_instance (origin)
SELECT coalesce(
  (SELECT left(origin, -33) FROM audit_head GROUP BY 1 ORDER BY count(*) DESC LIMIT 1), %s);
ALTER TABLE audit_head FORCE ROW LEVEL SECURITY;
"""


def name(apps: Any, schema_editor: Any) -> None:
    """Take the name that most logs have; where there is none, that of where it is reached now."""
    reached = settings.INNKEEPER_PUBLIC_URL.partition("://")[2] + "/api/v1/audit/tlog"
    schema_editor.execute(_NAME, [reached])


class Migration(migrations.Migration):
    """One row that nobody changes."""

    dependencies = [("audit", "0011_search")]
    operations = [
        migrations.RunSQL((_SQL / "instance.sql").read_text(), "DROP TABLE audit_instance"),
        GrantTable("audit_instance", app="SELECT", staff="SELECT"),
        migrations.RunSQL(grant("audit_instance", SEALER, "SELECT"), migrations.RunSQL.noop),
        migrations.RunPython(name, migrations.RunPython.noop),
    ]
