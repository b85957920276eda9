"""Tell days that are over once more in few rows, and note which of them changed since."""

from pathlib import Path

from django.db import migrations

from kernel.tenancy.operations import ProtectTenantTable

_SQL = Path(__file__).parent.parent / "usage" / "sql" / "digest.sql"


class Migration(migrations.Migration):
    """Three tables, two triggers that compare one time, and the functions over them.

    Triggers need a lock that ingest gives way to: a busy system waits for it a moment at most.
    """

    dependencies = [("billing", "0014_feed")]
    operations = [
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
        ProtectTenantTable("billing_usage_digested", "SELECT"),
        ProtectTenantTable("billing_usage_digest", "SELECT"),
        ProtectTenantTable("billing_usage_outdated", "SELECT, INSERT"),
    ]
