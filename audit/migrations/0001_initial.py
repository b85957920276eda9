"""Create the sealed log: tables, row-level security, privileges by column, triggers, partitions."""

from pathlib import Path
from typing import Any

from django.db import migrations, models

from kernel.tenancy.operations import APP, SEALER, STAFF, ProtectTenantTable, grant

_SQL = Path(__file__).parent.parent / "sql"
# xid, seq and recorded_at are the database's own: a forged xid could hide a row from the sealer.
_EVENT_COLUMNS = (
    "id, tenant_id, stream, occurred_at, action, actor_type, actor_id, on_behalf_of, target_type, "
    "target_id, outcome, request_id, leaf"
)
_WRITE = {
    "audit_event": f"SELECT, INSERT ({_EVENT_COLUMNS})",
    "audit_pii": "SELECT, INSERT",
    "audit_blob": "SELECT, INSERT",
    "audit_schema": "SELECT, INSERT",
    "audit_ingest": "SELECT, INSERT",
}
_READ = (
    "audit_head",
    "audit_leaf",
    "audit_node",
    "audit_checkpoint",
    "audit_heads_entry",
    "audit_anchor",
    "audit_search",
)
_SEALER = {
    "audit_event": "SELECT",
    "audit_pii": "SELECT",
    "audit_blob": "SELECT",
    "audit_head": "SELECT, INSERT, UPDATE",
    "audit_leaf": "SELECT, INSERT",
    "audit_node": "SELECT, INSERT",
    "audit_checkpoint": "SELECT, INSERT",
    "audit_heads_entry": "SELECT, INSERT",
    "audit_anchor": "SELECT, INSERT",
    "audit_sealer_state": "SELECT, INSERT, UPDATE",
    "audit_search": "SELECT, INSERT",
}
_TENANT_TABLES = {**_WRITE, **dict.fromkeys(_READ, "SELECT")}


def _sealer_grants() -> str:
    closed = [grant("audit_sealer_state", role, "") for role in (APP, STAFF)]
    return "\n".join([*closed, *(grant(table, SEALER, what) for table, what in _SEALER.items())])


_TENANT = ("tenant_id", models.UUIDField(editable=False))
_STREAM = (
    "stream",
    models.PositiveSmallIntegerField(choices=[(0, "Platform"), (1, "Tenant")]),
)


def _texts(*names: str) -> list[tuple[str, Any]]:
    return [(name, models.TextField()) for name in names]


def _reads(
    name: str, table: str, fields: list[tuple[str, Any]], **options: object
) -> migrations.CreateModel:
    """Give the ORM's view of a table that the SQL above has made."""
    return migrations.CreateModel(
        name=name,
        fields=fields,
        options={
            "db_table": table,
            "managed": False,
            "abstract": False,
            "base_manager_name": "objects",
            **options,
        },
    )


_MODELS = [
    _reads(
        "Event",
        "audit_event",
        [
            _TENANT,
            ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
            _STREAM,
            ("seq", models.BigIntegerField()),
            ("recorded_at", models.DateTimeField()),
            ("occurred_at", models.DateTimeField()),
            *_texts("action", "actor_type", "actor_id", "on_behalf_of", "target_type", "target_id"),
            (
                "outcome",
                models.TextField(
                    choices=[("success", "Success"), ("denied", "Denied"), ("failed", "Failed")]
                ),
            ),
            *_texts("request_id"),
            ("leaf", models.BinaryField()),
            ("leaf_hash", models.BinaryField()),
        ],
        ordering=["-id"],
        verbose_name="audit entry",
        verbose_name_plural="audit entries",
    ),
    _reads(
        "Declaration",
        "audit_schema",
        [
            _TENANT,
            ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
            *_texts("action"),
            ("version", models.PositiveIntegerField()),
            *_texts("template"),
            ("schema", models.JSONField()),
            ("created_at", models.DateTimeField()),
        ],
        ordering=["-id"],
    ),
    _reads(
        "Head",
        "audit_head",
        [
            _TENANT,
            ("log_id", models.UUIDField(primary_key=True, serialize=False)),
            _STREAM,
            ("epoch", models.PositiveIntegerField()),
            *_texts("origin"),
            ("size", models.BigIntegerField()),
            ("root", models.BinaryField()),
            ("created_at", models.DateTimeField()),
        ],
        ordering=["tenant_id", "stream", "-epoch"],
    ),
    _reads(
        "Leaf",
        "audit_leaf",
        [
            _TENANT,
            ("event_id", models.UUIDField(primary_key=True, serialize=False)),
            ("log_id", models.UUIDField()),
            ("leaf_index", models.BigIntegerField()),
            ("recorded_at", models.DateTimeField()),
            ("leaf_hash", models.BinaryField()),
        ],
    ),
]


class Migration(migrations.Migration):
    """The log's schema. The ORM's models are unmanaged: their state is kept for the admin only."""

    initial = True
    dependencies = [("kernel", "0001_gate")]
    operations = [
        migrations.RunSQL((_SQL / "schema.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((_SQL / "ingest.sql").read_text(), migrations.RunSQL.noop),
        *(
            ProtectTenantTable(table, privileges, staff_privileges=privileges)
            for table, privileges in _TENANT_TABLES.items()
        ),
        migrations.RunSQL(_sealer_grants(), migrations.RunSQL.noop),
        migrations.RunSQL((_SQL / "protect.sql").read_text(), migrations.RunSQL.noop),
        *_MODELS,
    ]
