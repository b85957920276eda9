"""Create features, plans, plan versions, revenue tiers, subscriptions, subjects and overrides."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import kernel.ids
from billing.catalog.models.features import KEY_PATTERN
from kernel.tenancy.operations import GrantTable, ProtectTenantTable

# What is published stays: tenants, invoices and audits rely on it. Only the owner's migrations and
# staff write here at all; the trigger binds them too.
_IMMUTABLE = """
CREATE FUNCTION billing_refuse_published() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v_version uuid;
BEGIN
  IF TG_TABLE_NAME = 'billing_plan_version' THEN
    IF OLD.published_at IS NOT NULL THEN
      RAISE EXCEPTION 'plan version % is published and cannot change', OLD.id
        USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
  END IF;
  v_version := CASE TG_OP WHEN 'DELETE' THEN OLD.version_id ELSE NEW.version_id END;
  IF EXISTS (SELECT FROM billing_plan_version v
              WHERE v.id = v_version AND v.published_at IS NOT NULL) THEN
    RAISE EXCEPTION 'plan version % is published and cannot change', v_version
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER published BEFORE UPDATE OR DELETE ON billing_plan_version
  FOR EACH ROW EXECUTE FUNCTION billing_refuse_published();
CREATE TRIGGER published BEFORE INSERT OR UPDATE OR DELETE ON billing_plan_feature
  FOR EACH ROW EXECUTE FUNCTION billing_refuse_published();
"""

# Two subscriptions of a tenant, or two overrides of one of its features, never hold at one instant.
_NO_OVERLAP = """
CREATE EXTENSION IF NOT EXISTS btree_gist;
ALTER TABLE billing_subscription ADD CONSTRAINT billing_subscription_overlap
  EXCLUDE USING gist (tenant_id WITH =, tstzrange(starts_at, ends_at) WITH &&);
ALTER TABLE billing_override ADD CONSTRAINT billing_override_overlap
  EXCLUDE USING gist (tenant_id WITH =, feature_id WITH =, tstzrange(starts_at, expires_at) WITH &&)
  WHERE (revoked_at IS NULL);
"""


class Migration(migrations.Migration):
    """The tables of the catalogue, of subscriptions and of overrides."""

    dependencies = [
        ("billing", "0001_usage"),
    ]

    operations = [
        migrations.CreateModel(
            name="Feature",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("key", models.TextField(unique=True)),
                ("name", models.TextField()),
                ("description", models.TextField(blank=True, default="")),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("boolean", "boolean"),
                            ("number", "number"),
                            ("enum", "enum"),
                            ("json", "json"),
                            ("metered", "metered"),
                        ]
                    ),
                ),
                ("meter", models.TextField(blank=True, default="")),
                (
                    "plan_limit",
                    models.TextField(
                        blank=True,
                        choices=[
                            ("daily_requests", "Daily Requests"),
                            ("daily_webhooks", "Daily Webhooks"),
                        ],
                        default="",
                    ),
                ),
                ("unit", models.TextField(blank=True, default="")),
                ("options", models.JSONField(blank=True, default=dict)),
                ("metadata", models.JSONField(blank=True, default=dict)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("archived_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "billing_feature",
                "ordering": ["key"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("key__regex", KEY_PATTERN)),
                        name="billing_feature_key",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("kind__in", ["boolean", "number", "enum", "json", "metered"])
                        ),
                        name="billing_feature_kind",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "metered"), models.Q(("meter", ""), _negated=True)),
                            models.Q(
                                models.Q(("kind", "metered"), _negated=True),
                                ("meter", ""),
                                ("plan_limit", ""),
                            ),
                            _connector="OR",
                        ),
                        name="billing_feature_meter",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("plan_limit", ""), _negated=True),
                        fields=("plan_limit",),
                        name="billing_feature_plan_limit",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Plan",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("key", models.TextField(unique=True)),
                ("name", models.TextField()),
                ("description", models.TextField(blank=True, default="")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("archived_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "billing_plan",
                "ordering": ["key"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("key__regex", KEY_PATTERN)),
                        name="billing_plan_key",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PlanVersion",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("daily_requests", models.BigIntegerField(blank=True, null=True)),
                ("daily_webhooks", models.BigIntegerField(blank=True, null=True)),
                ("burst_rate", models.PositiveIntegerField(blank=True, null=True)),
                ("burst_depth", models.PositiveIntegerField(blank=True, null=True)),
                ("monthly_price", models.BigIntegerField(default=0)),
                ("currency", models.CharField(default="USD", max_length=3)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("published_at", models.DateTimeField(blank=True, null=True)),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="versions",
                        to="billing.plan",
                    ),
                ),
            ],
            options={
                "db_table": "billing_plan_version",
                "ordering": ["plan", "-number"],
            },
        ),
        migrations.CreateModel(
            name="PlanFeature",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("value", models.JSONField()),
                (
                    "feature",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing.feature",
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="features",
                        to="billing.planversion",
                    ),
                ),
            ],
            options={
                "db_table": "billing_plan_feature",
            },
        ),
        migrations.CreateModel(
            name="RevenueTier",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("key", models.TextField(unique=True)),
                ("name", models.TextField()),
                ("lower", models.BigIntegerField(unique=True)),
                ("upper", models.BigIntegerField(blank=True, null=True)),
                ("currency", models.CharField(default="USD", max_length=3)),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="revenue_tiers",
                        to="billing.plan",
                    ),
                ),
            ],
            options={
                "db_table": "billing_revenue_tier",
                "ordering": ["lower"],
            },
        ),
        migrations.CreateModel(
            name="Subject",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "scope",
                    models.UUIDField(
                        default=uuid.UUID("00000000-0000-0000-0000-000000000000"), editable=False
                    ),
                ),
                ("key", models.TextField()),
                ("display_name", models.TextField(blank=True, default="")),
                ("metadata", models.JSONField(blank=True, null=True)),
                ("current_period_start", models.DateTimeField(blank=True, null=True)),
                ("current_period_end", models.DateTimeField(blank=True, null=True)),
                ("stripe_customer_id", models.TextField(blank=True, default="")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "db_table": "billing_subject",
                "ordering": ["key"],
                "base_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(fields=("scope", "key"), name="billing_subject_key"),
                    models.CheckConstraint(
                        condition=models.Q(("key", ""), _negated=True),
                        name="billing_subject_key_given",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Subscription",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.UUIDField(editable=False)),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField(blank=True, null=True)),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing.planversion",
                    ),
                ),
            ],
            options={
                "db_table": "billing_subscription",
            },
        ),
        migrations.CreateModel(
            name="Override",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.UUIDField(editable=False)),
                (
                    "mode",
                    models.TextField(
                        choices=[
                            ("set", "replaces the plan's value"),
                            ("add", "is added to the plan's value, and so grows with upgrades"),
                        ],
                        default="set",
                    ),
                ),
                ("value", models.JSONField()),
                ("starts_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("paused", models.BooleanField(default=False)),
                ("reason", models.TextField()),
                ("ticket", models.TextField(blank=True, default="")),
                ("created_by", models.TextField(editable=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
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
                "db_table": "billing_override",
                "indexes": [
                    models.Index(fields=["tenant_id", "feature"], name="billing_override_feature")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant_id", "id"), name="billing_override_tenant"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("expires_at", None),
                            ("expires_at__gt", models.F("starts_at")),
                            _connector="OR",
                        ),
                        name="billing_override_times",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("mode__in", ["set", "add"])),
                        name="billing_override_mode",
                    ),
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="planversion",
            constraint=models.UniqueConstraint(
                fields=("plan", "number"), name="billing_plan_version_number"
            ),
        ),
        migrations.AddConstraint(
            model_name="planversion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("daily_requests", None), ("daily_requests__gte", 0), _connector="OR"),
                    models.Q(("daily_webhooks", None), ("daily_webhooks__gte", 0), _connector="OR"),
                ),
                name="billing_plan_version_limits",
            ),
        ),
        migrations.AddConstraint(
            model_name="planversion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("burst_depth", None), ("burst_rate", None)),
                    models.Q(("burst_depth__gte", 1), ("burst_rate__gte", 1)),
                    _connector="OR",
                ),
                name="billing_plan_version_burst",
            ),
        ),
        migrations.AddConstraint(
            model_name="planversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("currency__regex", "^[A-Z]{3}$"), ("monthly_price__gte", 0)),
                name="billing_plan_version_price",
            ),
        ),
        migrations.AddConstraint(
            model_name="planfeature",
            constraint=models.UniqueConstraint(
                fields=("version", "feature"), name="billing_plan_feature_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="revenuetier",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("lower__gte", 0),
                    models.Q(("upper", None), ("upper__gt", models.F("lower")), _connector="OR"),
                ),
                name="billing_revenue_tier_range",
            ),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(
                fields=["tenant_id", "starts_at"], name="billing_subscription_history"
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.UniqueConstraint(
                fields=("tenant_id", "id"), name="billing_subscription_tenant"
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.UniqueConstraint(
                condition=models.Q(("ends_at", None)),
                fields=("tenant_id",),
                name="billing_subscription_current",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("ends_at", None), ("ends_at__gt", models.F("starts_at")), _connector="OR"
                ),
                name="billing_subscription_times",
            ),
        ),
        migrations.RunSQL(_IMMUTABLE, migrations.RunSQL.noop),
        migrations.RunSQL(_NO_OVERLAP, migrations.RunSQL.noop),
        GrantTable("billing_feature", app="SELECT"),
        GrantTable("billing_plan", app="SELECT"),
        GrantTable("billing_plan_version", app="SELECT"),
        GrantTable("billing_plan_feature", app="SELECT"),
        GrantTable("billing_revenue_tier", app="SELECT"),
        ProtectTenantTable("billing_subscription", "SELECT, INSERT, UPDATE"),
        ProtectTenantTable("billing_subject", column="scope"),
        ProtectTenantTable("billing_override", "SELECT"),
    ]
