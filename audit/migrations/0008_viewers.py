"""Remember what each viewer token may see."""

from django.db import migrations

from audit.guard import AuditGuard
from kernel.tenancy.operations import ProtectTenantTable

_TABLE = """
CREATE TABLE audit_viewer (
  id         uuid PRIMARY KEY,  -- the credential's key id at the gate, which holds its MAC alone
  tenant_id  uuid NOT NULL,
  label      text NOT NULL,
  filter     jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz
);
CREATE INDEX audit_viewer_tenant ON audit_viewer (tenant_id, id);
"""


class Migration(migrations.Migration):
    """Viewer tokens: short-lived credentials of one tenant, bound to a filter."""

    dependencies = [("audit", "0007_search_function")]
    operations = [
        migrations.RunSQL(_TABLE, migrations.RunSQL.noop),
        ProtectTenantTable(
            "audit_viewer",
            "SELECT, INSERT, UPDATE (revoked_at)",
            staff_privileges="SELECT, INSERT, UPDATE (revoked_at)",
        ),
        AuditGuard("audit_viewer", target_type="audit_viewer"),
    ]
