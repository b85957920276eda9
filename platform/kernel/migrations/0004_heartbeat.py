"""Create the heartbeats of the worker's services."""

from django.db import migrations

from kernel.tenancy.operations import GrantTable


class Migration(migrations.Migration):
    """One row for each service of each worker process, refreshed every five seconds."""

    dependencies = [("kernel", "0003_idempotency")]
    operations = [
        migrations.RunSQL(
            """
            CREATE TABLE kernel_heartbeat (
              service  text NOT NULL,
              process  text NOT NULL,
              alive    boolean NOT NULL,
              restarts integer NOT NULL,
              at       timestamptz NOT NULL,
              PRIMARY KEY (service, process)
            );
            """,
            "DROP TABLE kernel_heartbeat",
        ),
        GrantTable("kernel_heartbeat"),
    ]
