"""Keep what OpenMeter says of customers, and which groups of a meter a feature counts."""

from django.db import migrations, models

import kernel.ids
from kernel.tenancy.operations import ProtectTenantTable


class Migration(migrations.Migration):
    """A column with a constant default, and the table of profiles."""

    dependencies = [
        ("billing", "0010_wide"),
    ]

    operations = [
        migrations.AddField(
            model_name="feature",
            name="group_filters",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.CreateModel(
            name="CustomerProfile",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.UUIDField(editable=False)),
                ("description", models.TextField(blank=True, default="")),
                ("primary_email", models.TextField(blank=True, default="")),
                ("currency", models.CharField(blank=True, default="", max_length=3)),
                ("billing_address", models.JSONField(blank=True, default=dict)),
                ("metadata", models.JSONField(blank=True, default=dict)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "db_table": "billing_customer",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant_id", "id"), name="billing_customer_tenant"
                    ),
                    models.UniqueConstraint(fields=("tenant_id",), name="billing_customer_once"),
                ],
            },
        ),
        ProtectTenantTable("billing_customer", "SELECT, INSERT, UPDATE"),
    ]
