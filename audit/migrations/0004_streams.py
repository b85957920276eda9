"""Create streams, their progress, and the state of anchors."""

from pathlib import Path
from typing import Any

from django.db import migrations, models

import kernel.ids
from audit.guard import AuditGuard
from kernel.tenancy.operations import (
    STAFF,
    CompositeForeignKey,
    GrantTable,
    ProtectTenantTable,
    grant,
)

_SQL = Path(__file__).parent.parent / "sql"
_UNMANAGED: dict[str, Any] = {"managed": False, "abstract": False}


class Migration(migrations.Migration):
    """The ORM's models are unmanaged, like all of the log's: SQL makes the tables."""

    dependencies = [("audit", "0003_search_position"), ("kernel", "0005_outbox_order")]
    operations = [
        migrations.RunSQL((_SQL / "streams.sql").read_text(), migrations.RunSQL.noop),
        CompositeForeignKey("audit_stream_state", "stream_id", "audit_stream", on_delete="CASCADE"),
        CompositeForeignKey(
            "audit_stream_cursor", "stream_id", "audit_stream", on_delete="CASCADE"
        ),
        ProtectTenantTable("audit_stream"),
        ProtectTenantTable("audit_stream_state", "SELECT, INSERT, UPDATE"),
        ProtectTenantTable("audit_stream_cursor", "SELECT, INSERT, DELETE"),
        GrantTable("audit_anchor_state"),
        # What a receiver has taken is evidence: it is added, and never changed.
        migrations.RunSQL(grant("audit_anchor", STAFF, "SELECT, INSERT"), migrations.RunSQL.noop),
        AuditGuard("audit_stream", target_type="audit_stream"),
        migrations.CreateModel(
            name="LogStream",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("tenant_id", models.UUIDField(editable=False)),
                ("name", models.TextField()),
            ],
            options={
                **_UNMANAGED,
                "db_table": "audit_stream",
                "ordering": ["-id"],
                "verbose_name": "stream",
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="AnchorState",
            fields=[("name", models.TextField(primary_key=True, serialize=False))],
            options={
                **_UNMANAGED,
                "db_table": "audit_anchor_state",
                "ordering": ["name"],
                "verbose_name": "anchor",
            },
        ),
    ]
