"""Create the outbox: the app role may only add events of its own tenant; staff relays them."""

from django.db import migrations, models

from kernel.tenancy.operations import ProtectTenantTable


class Migration(migrations.Migration):
    """The outbox."""

    dependencies = [
        ("kernel", "0001_gate"),
    ]

    operations = [
        migrations.CreateModel(
            name="OutboxEvent",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("tenant_id", models.UUIDField(null=True)),
                ("name", models.TextField()),
                ("payload", models.JSONField()),
                ("occurred_at", models.DateTimeField()),
                ("available_at", models.DateTimeField()),
                ("attempts", models.IntegerField(db_default=0, default=0)),
                ("token", models.BigIntegerField(db_default=0, default=0)),
                ("leased_until", models.DateTimeField(null=True)),
                ("done", models.JSONField(db_default=[], default=list)),
                ("delivered_at", models.DateTimeField(null=True)),
                ("dead_at", models.DateTimeField(null=True)),
                ("last_error", models.TextField(db_default="", default="")),
            ],
            options={
                "verbose_name": "outbox event",
                "db_table": "kernel_outbox",
                "indexes": [
                    models.Index(
                        condition=models.Q(("dead_at", None), ("delivered_at", None)),
                        fields=["available_at", "id"],
                        name="kernel_outbox_due",
                    ),
                    models.Index(fields=["tenant_id", "id"], name="kernel_outbox_tenant"),
                ],
            },
        ),
        ProtectTenantTable("kernel_outbox", "INSERT"),
    ]
