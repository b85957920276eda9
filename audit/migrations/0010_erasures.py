"""Write down what each erasure takes; see docs/adr/0132."""

from pathlib import Path

from django.db import migrations

from kernel.tenancy.operations import SEALER, ProtectTenantTable, grant

_SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    """One table that only the function of erasure fills, and that function anew."""

    dependencies = [("audit", "0009_words")]
    operations = [
        migrations.RunSQL((_SQL / "erasures.sql").read_text(), migrations.RunSQL.noop),
        ProtectTenantTable("audit_erased", "SELECT", staff_privileges="SELECT"),
        migrations.RunSQL(grant("audit_erased", SEALER, "SELECT"), migrations.RunSQL.noop),
    ]
