"""Refuse to add or drop an anchor's state without an entry."""

from django.db import migrations

from audit.guard import AuditGuard


class Migration(migrations.Migration):
    """Progress of anchors is no change that must be told; their coming and going is."""

    dependencies = [("audit", "0004_streams")]
    operations = [
        AuditGuard(
            "audit_anchor_state",
            tenant_column="",
            target_type="audit_anchor",
            events="INSERT OR DELETE",
        ),
    ]
