"""Create entitlements of tenants' own, grants, and resets of usage periods."""

import django.db.models.deletion
from django.db import migrations, models

import kernel.ids
from audit.guard import AuditGuard
from kernel.tenancy.operations import ProtectTenantTable


class Migration(migrations.Migration):
    """Three new tables, written by the operator's side only."""

    dependencies = [
        ("billing", "0006_thresholds"),
        ("kernel", "0007_burn"),
        ("audit", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Entitlement",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.UUIDField(editable=False)),
                (
                    "type",
                    models.TextField(
                        choices=[
                            ("metered", "Metered"),
                            ("static", "Static"),
                            ("boolean", "Boolean"),
                        ]
                    ),
                ),
                ("interval", models.TextField(blank=True, default="")),
                ("anchor", models.DateTimeField(blank=True, null=True)),
                ("measure_from", models.DateTimeField(blank=True, null=True)),
                ("soft", models.BooleanField(default=False)),
                (
                    "issue",
                    models.DecimalField(blank=True, decimal_places=12, max_digits=38, null=True),
                ),
                ("issue_priority", models.PositiveSmallIntegerField(default=1)),
                ("preserve_overage", models.BooleanField(default=False)),
                ("config", models.JSONField(blank=True, null=True)),
                ("metadata", models.JSONField(blank=True, default=dict)),
                ("active_from", models.DateTimeField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("deleted_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "feature",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing.feature",
                    ),
                ),
            ],
            options={
                "db_table": "billing_entitlement",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant_id", "id"), name="billing_entitlement_tenant"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("deleted_at", None)),
                        fields=("tenant_id", "feature"),
                        name="billing_entitlement_live",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("type__in", ["metered", "static", "boolean"])),
                        name="billing_entitlement_type",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("type", "metered"), _negated=True),
                            models.Q(
                                ("anchor__isnull", False),
                                ("measure_from__isnull", False),
                                models.Q(("interval", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="billing_entitlement_metered",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="EntitlementReset",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.UUIDField(editable=False)),
                ("stream", models.UUIDField()),
                ("at", models.DateTimeField()),
                ("retain_anchor", models.BooleanField(default=True)),
                ("preserve_overage", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "feature",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing.feature",
                    ),
                ),
            ],
            options={
                "db_table": "billing_entitlement_reset",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant_id", "id"), name="billing_reset_tenant"
                    ),
                    models.UniqueConstraint(
                        fields=("tenant_id", "stream", "at"), name="billing_reset_instant"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Grant",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.UUIDField(editable=False)),
                ("stream", models.UUIDField()),
                ("amount", models.DecimalField(decimal_places=12, max_digits=38)),
                ("priority", models.PositiveSmallIntegerField()),
                ("effective_at", models.DateTimeField()),
                (
                    "expiry_unit",
                    models.TextField(
                        blank=True,
                        choices=[
                            ("HOUR", "Hour"),
                            ("DAY", "Day"),
                            ("WEEK", "Week"),
                            ("MONTH", "Month"),
                            ("YEAR", "Year"),
                        ],
                        default="",
                    ),
                ),
                ("expiry_count", models.PositiveIntegerField(blank=True, null=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("min_rollover", models.DecimalField(decimal_places=12, default=0, max_digits=38)),
                ("max_rollover", models.DecimalField(decimal_places=12, default=0, max_digits=38)),
                ("interval", models.TextField(blank=True, default="")),
                ("anchor", models.DateTimeField(blank=True, null=True)),
                ("metadata", models.JSONField(blank=True, default=dict)),
                ("annotations", models.JSONField(blank=True, default=dict)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("voided_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("deleted_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "feature",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing.feature",
                    ),
                ),
            ],
            options={
                "db_table": "billing_grant",
                "indexes": [
                    models.Index(fields=["tenant_id", "stream"], name="billing_grant_stream")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant_id", "id"), name="billing_grant_tenant"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("amount__gt", 0), ("max_rollover__gte", 0), ("min_rollover__gte", 0)
                        ),
                        name="billing_grant_amounts",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("expires_at", None),
                            ("expires_at__gt", models.F("effective_at")),
                            _connector="OR",
                        ),
                        name="billing_grant_times",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("expires_at", None), ("expiry_count", None), ("expiry_unit", "")
                            ),
                            models.Q(
                                ("expiry_count__gt", 0),
                                ("expiry_unit__in", ["HOUR", "DAY", "WEEK", "MONTH", "YEAR"]),
                                ("expires_at__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="billing_grant_expiry",
                    ),
                ],
            },
        ),
        ProtectTenantTable("billing_entitlement", "SELECT"),
        ProtectTenantTable("billing_entitlement_reset", "SELECT"),
        ProtectTenantTable("billing_grant", "SELECT"),
        AuditGuard("billing_entitlement"),
        AuditGuard("billing_entitlement_reset"),
        AuditGuard("billing_grant"),
    ]
