"""Create the records of idempotent requests."""

from django.db import migrations

from kernel.tenancy.operations import ProtectTenantTable


class Migration(migrations.Migration):
    """One row for each idempotency key that had an effect; kept for a day."""

    dependencies = [("kernel", "0002_outbox")]
    operations = [
        migrations.RunSQL(
            """
            CREATE TABLE kernel_idempotency (
              tenant_id   uuid,
              scope       bytea NOT NULL,
              fingerprint bytea NOT NULL,
              status      smallint NOT NULL,
              body        bytea NOT NULL,
              created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
              UNIQUE NULLS NOT DISTINCT (tenant_id, scope)
            );
            CREATE INDEX kernel_idempotency_age ON kernel_idempotency (created_at);
            """,
            "DROP TABLE kernel_idempotency",
        ),
        ProtectTenantTable("kernel_idempotency", "SELECT, INSERT, UPDATE"),
    ]
