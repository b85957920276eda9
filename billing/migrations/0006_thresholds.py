"""Create the record of crossed thresholds."""

from django.db import migrations, models

import kernel.ids
from kernel.tenancy.operations import ProtectTenantTable


class Migration(migrations.Migration):
    """The table; written by the operator's side, read by its tenant."""

    dependencies = [
        ("billing", "0005_groups"),
    ]

    operations = [
        migrations.CreateModel(
            name="ThresholdCrossing",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.UUIDField(editable=False)),
                ("feature_key", models.TextField()),
                ("period_start", models.DateTimeField()),
                ("period_end", models.DateTimeField()),
                ("threshold", models.PositiveSmallIntegerField(help_text="Percent of the limit.")),
                ("usage", models.DecimalField(decimal_places=12, max_digits=38)),
                ("limit", models.DecimalField(decimal_places=12, max_digits=38)),
                ("crossed_at", models.DateTimeField()),
                ("rearmed_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "billing_threshold",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant_id", "id"), name="billing_threshold_tenant"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("rearmed_at", None)),
                        fields=("tenant_id", "feature_key", "period_start", "threshold"),
                        name="billing_threshold_once",
                    ),
                ],
            },
        ),
        ProtectTenantTable("billing_threshold", "SELECT"),
    ]
