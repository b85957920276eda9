"""What groups of the operator's staff may do over the API."""

import django.db.models.deletion
from django.db import migrations, models

from kernel.tenancy.operations import GrantTable


class Migration(migrations.Migration):
    """One table that only staff reads and writes."""

    dependencies = [
        ("accounts", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]
    operations = [
        migrations.CreateModel(
            name="StaffGrant",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("permission", models.TextField()),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="grants",
                        to="auth.group",
                    ),
                ),
            ],
            options={
                "db_table": "accounts_staff_grant",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("group", "permission"), name="accounts_staff_grant_once"
                    )
                ],
            },
        ),
        GrantTable("accounts_staff_grant"),
    ]
