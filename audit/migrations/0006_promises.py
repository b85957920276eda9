"""Say how far the sealer is behind, and up to where each log was verified."""

from pathlib import Path

from django.db import migrations

from kernel.tenancy.operations import SEALER, ProtectTenantTable, grant

_SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    """The measure of back-pressure, the memory of the nightly verification."""

    dependencies = [("audit", "0005_anchor_guard")]
    operations = [
        migrations.RunSQL((_SQL / "promises.sql").read_text(), migrations.RunSQL.noop),
        ProtectTenantTable("audit_verified", "", staff_privileges="SELECT, INSERT, UPDATE"),
        migrations.RunSQL(grant("audit_verified", SEALER, "SELECT"), migrations.RunSQL.noop),
    ]
