"""Create meters, the event ledger, its dedupe key, roll-ups, sets, and the functions over them."""

from pathlib import Path

import django.contrib.postgres.fields
from django.db import migrations, models

import kernel.ids
from billing.usage.models import OPERATOR, Aggregation, Origin
from billing.usage.models.meters import SLUG_PATTERN
from kernel.tenancy.operations import GrantTable, ProtectTenantTable

_SQL = Path(__file__).parent.parent / "usage" / "sql"


def _run(name: str) -> migrations.RunSQL:
    merge = (_SQL / "merge.sql").read_text(encoding="utf-8").partition("\n")[2].rstrip()
    text = (_SQL / name).read_text(encoding="utf-8").replace("-- {{merge}}", merge)
    return migrations.RunSQL(text, migrations.RunSQL.noop)


class Migration(migrations.Migration):
    """The tables and functions of usage."""

    initial = True
    dependencies = [("kernel", "0001_gate"), ("tenants", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="Meter",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("scope", models.UUIDField(default=OPERATOR, editable=False)),
                ("slug", models.TextField()),
                ("name", models.TextField(blank=True, default="")),
                ("description", models.TextField(blank=True, default="")),
                ("aggregation", models.TextField(choices=Aggregation.choices)),
                ("event_type", models.TextField()),
                ("event_from", models.DateTimeField(blank=True, null=True)),
                ("value_property", models.TextField(blank=True, null=True)),
                (
                    "value_path",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(),
                        blank=True,
                        default=list,
                        editable=False,
                        size=None,
                    ),
                ),
                ("group_by", models.JSONField(blank=True, default=dict)),
                (
                    "group_paths",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(),
                        blank=True,
                        default=list,
                        editable=False,
                        size=None,
                    ),
                ),
                ("metadata", models.JSONField(blank=True, default=dict)),
                (
                    "origin",
                    models.TextField(choices=Origin.choices, default=Origin.EVENTS, editable=False),
                ),
                ("ready", models.BooleanField(default=False, editable=False)),
                ("progress", models.JSONField(default=dict, editable=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("deleted_at", models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                "db_table": "billing_meter",
                "ordering": ["slug"],
                "base_manager_name": "objects",
                "indexes": [
                    models.Index(fields=["scope", "event_type"], name="billing_meter_type")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("deleted_at", None)),
                        fields=("scope", "slug"),
                        name="billing_meter_slug",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("slug__regex", SLUG_PATTERN)),
                        name="billing_meter_slug_form",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("aggregation__in", Aggregation.values)),
                        name="billing_meter_aggregation",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("aggregation", Aggregation.COUNT), ("value_property", None)),
                            models.Q(
                                models.Q(("aggregation", Aggregation.COUNT), _negated=True),
                                models.Q(("value_property", None), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="billing_meter_value",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="UsageEvent",
            fields=[
                ("seq", models.BigIntegerField(primary_key=True, serialize=False)),
                ("tenant_id", models.UUIDField(null=True)),
                ("scope", models.UUIDField()),
                ("key_id", models.UUIDField(null=True)),
                ("source", models.TextField()),
                ("event_id", models.TextField(db_column="id")),
                ("type", models.TextField()),
                ("subject", models.TextField()),
                ("time", models.DateTimeField()),
                ("data", models.JSONField(null=True)),
                ("dataschema", models.TextField(null=True)),
                ("ingested_at", models.DateTimeField()),
            ],
            options={
                "db_table": "billing_usage_event",
                "ordering": ["-time", "-seq"],
                "managed": False,
                "base_manager_name": "objects",
            },
        ),
        _run("policies.sql"),
        _run("tables.sql"),
        ProtectTenantTable("billing_usage_event", "SELECT, INSERT"),
        ProtectTenantTable("billing_usage_seen", "SELECT, INSERT", column="scope"),
        ProtectTenantTable("billing_usage_rollup", "SELECT, INSERT, UPDATE, DELETE"),
        ProtectTenantTable("billing_usage_value", "SELECT, INSERT, DELETE"),
        ProtectTenantTable("billing_usage_amendment", "SELECT, INSERT"),
        ProtectTenantTable("billing_usage_attribution", "SELECT"),
        GrantTable("billing_usage_spool"),
        _run("functions.sql"),
        _run("partitions.sql"),
        _run("measured.sql"),
        _run("ingest.sql"),
        _run("recount.sql"),
        _run("attribute.sql"),
        _run("amend.sql"),
        _run("grants.sql"),
        _run("seed.sql"),
    ]
