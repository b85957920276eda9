"""Close, archive and drop months of the ledger."""

from pathlib import Path

from django.db import migrations

from kernel.tenancy.operations import ProtectTenantTable

_SQL = Path(__file__).parent.parent / "usage" / "sql" / "archive.sql"


class Migration(migrations.Migration):
    """Two small tables, and a trigger on the default partition: a short lock."""

    dependencies = [("billing", "0008_aggregations")]
    operations = [
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
        ProtectTenantTable("billing_usage_archive", "SELECT", staff_privileges="SELECT"),
        ProtectTenantTable("billing_usage_closed", "SELECT", staff_privileges="SELECT"),
    ]
