"""Keep entries for as long as a rule says, hold what a court wants, prune the rest provably."""

from pathlib import Path

from django.db import migrations, models

from audit.guard import AuditGuard
from kernel.tenancy.operations import APP, SEALER, STAFF, ProtectTenantTable, grant

_SQL = Path(__file__).parent.parent / "sql"
_STAFF = {
    "audit_retention": "SELECT, INSERT, UPDATE, DELETE",
    "audit_hold": "SELECT, INSERT, UPDATE",
    "audit_pruning": "SELECT, INSERT",
}


def _grants() -> str:
    tables = (*_STAFF, "audit_drop")
    return "\n".join(
        [
            grant("audit_drop", APP, ""),
            grant("audit_drop", STAFF, "SELECT"),
            *(grant(table, SEALER, "SELECT") for table in tables),
        ]
    )


class Migration(migrations.Migration):
    """Rules, holds, announcements, and the function that drops a month."""

    dependencies = [("audit", "0001_initial")]
    operations = [
        migrations.RunSQL((_SQL / "retention.sql").read_text(), migrations.RunSQL.noop),
        *(
            ProtectTenantTable(table, "SELECT", staff_privileges=privileges)
            for table, privileges in _STAFF.items()
        ),
        migrations.RunSQL(_grants(), migrations.RunSQL.noop),
        AuditGuard("audit_retention", target_type="audit_retention"),
        AuditGuard("audit_hold", target_type="audit_hold"),
        AuditGuard("audit_pruning", target_type="audit_log"),
        migrations.CreateModel(
            name="Hold",
            fields=[
                ("tenant_id", models.UUIDField(editable=False)),
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("reason", models.TextField()),
                ("filter", models.JSONField(default=dict)),
                ("set_at", models.DateTimeField()),
                ("released_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "audit_hold",
                "managed": False,
                "abstract": False,
                "base_manager_name": "objects",
                "ordering": ["-id"],
                "verbose_name": "legal hold",
            },
        ),
    ]
