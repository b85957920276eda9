"""Create the tenant record, protected by row: the app may read its own and write none."""

import django.utils.timezone
from django.db import migrations, models

import kernel.ids
from audit.guard import AuditGuard
from kernel.tenancy.operations import ProtectTenantTable
from tenants.models import SLUG_PATTERN


class Migration(migrations.Migration):
    """The table of tenants."""

    initial = True
    dependencies = [("kernel", "0001_gate"), ("audit", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="Tenant",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "slug",
                    models.TextField(help_text="Lower-case DNS label; never changes.", unique=True),
                ),
                ("name", models.TextField()),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("active", "Active"),
                            ("suspended", "Suspended"),
                            ("closed", "Closed"),
                        ],
                        default="active",
                    ),
                ),
                (
                    "timezone",
                    models.TextField(default="UTC", help_text="IANA name; for reports and mails."),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("suspended_at", models.DateTimeField(blank=True, null=True)),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "tenants_tenant",
                "ordering": ["-id"],
                "base_manager_name": "objects",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("slug__regex", SLUG_PATTERN)),
                        name="tenants_tenant_slug",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["active", "suspended", "closed"])),
                        name="tenants_tenant_status",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True),
                        name="tenants_tenant_name",
                    ),
                ],
            },
        ),
        ProtectTenantTable("tenants_tenant", "SELECT", column="id"),
        AuditGuard("tenants_tenant", tenant_column="id", target_type="tenant"),
    ]
