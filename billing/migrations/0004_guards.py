"""Let no commit change the catalogue, a subscription or an override without an audit entry.

A later migration that seeds guarded rows writes an entry in its transaction, or seeds before it
lays the guard of a new table.
"""

from django.db import migrations

from audit.guard import AuditGuard


class Migration(migrations.Migration):
    """The commit-time guards of billing's critical tables (docs/adr/0100)."""

    dependencies = [("billing", "0003_seed"), ("audit", "0001_initial")]
    operations = [
        AuditGuard("billing_feature", tenant_column=""),
        AuditGuard("billing_plan", tenant_column=""),
        AuditGuard("billing_plan_version", tenant_column=""),
        AuditGuard("billing_plan_feature", tenant_column=""),
        AuditGuard("billing_revenue_tier", tenant_column=""),
        AuditGuard("billing_subscription", target_type="subscription"),
        AuditGuard("billing_override", target_type="override"),
    ]
