"""Let events of one key wait for each other, and find events whose lease has run out."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Nullable columns and two partial indexes over events in flight: short locks."""

    dependencies = [("kernel", "0004_heartbeat")]
    operations = [
        migrations.AddField("OutboxEvent", "ordering_key", models.TextField(null=True)),
        migrations.AddField("OutboxEvent", "position", models.BigIntegerField(null=True)),
        # Not by id: ids made within a millisecond have no order.
        migrations.RunSQL(
            """
            CREATE SEQUENCE kernel_outbox_position AS bigint;
            GRANT USAGE ON SEQUENCE kernel_outbox_position TO innkeeper_app, innkeeper_staff;
            """,
            "DROP SEQUENCE kernel_outbox_position",
        ),
        migrations.AddIndex(
            "OutboxEvent",
            models.Index(
                condition=models.Q(
                    ("dead_at", None), ("delivered_at", None), ("ordering_key__isnull", False)
                ),
                fields=["ordering_key", "position"],
                name="kernel_outbox_order",
            ),
        ),
        migrations.AddIndex(
            "OutboxEvent",
            models.Index(
                condition=models.Q(
                    ("dead_at", None), ("delivered_at", None), ("leased_until__isnull", False)
                ),
                fields=["leased_until"],
                name="kernel_outbox_leased",
            ),
        ),
    ]
