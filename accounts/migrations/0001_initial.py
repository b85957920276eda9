"""Create people, memberships and keys, protected by row where a tenant owns them."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import kernel.ids
from audit.guard import AuditGuard
from kernel.tenancy.operations import GrantTable, ProtectTenantTable

_USER_FOR = """
-- The id of the person with this e-mail address, made where there is none yet. The app role has no
-- access to people: this is its only way to name one, and it tells nothing about them but the id.
CREATE FUNCTION accounts_user_for(p_email text, p_new_id uuid) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  v_id uuid;
BEGIN
  INSERT INTO public.accounts_user
    (id, email, name, password, is_active, is_staff, is_superuser, created_at)
  VALUES (p_new_id, lower(p_email), '', '!', true, false, false, now())
  ON CONFLICT (email) DO NOTHING
  RETURNING id INTO v_id;
  IF v_id IS NULL THEN
    SELECT u.id INTO STRICT v_id FROM public.accounts_user u WHERE u.email = lower(p_email);
  END IF;
  RETURN v_id;
END
$$;
REVOKE ALL ON FUNCTION accounts_user_for(text, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION accounts_user_for(text, uuid) TO innkeeper_app, innkeeper_staff;
"""
_TENANTS = """
ALTER TABLE accounts_membership ADD CONSTRAINT accounts_membership_tenant
  FOREIGN KEY (tenant_id) REFERENCES tenants_tenant (id);
ALTER TABLE accounts_api_key ADD CONSTRAINT accounts_api_key_tenant
  FOREIGN KEY (tenant_id) REFERENCES tenants_tenant (id);
"""


class Migration(migrations.Migration):
    """The tables of accounts."""

    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("audit", "0001_initial"),
        ("kernel", "0001_gate"),
        ("tenants", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="User",
            fields=[
                ("password", models.CharField(max_length=128, verbose_name="password")),
                (
                    "last_login",
                    models.DateTimeField(blank=True, null=True, verbose_name="last login"),
                ),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",  # noqa: E501
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("email", models.EmailField(max_length=254, unique=True)),
                ("name", models.TextField(blank=True, default="")),
                ("is_active", models.BooleanField(default=True)),
                ("is_staff", models.BooleanField(default=False)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",  # noqa: E501
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
            options={
                "db_table": "accounts_user",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.UUIDField(editable=False)),
                ("name", models.TextField()),
                ("public_id", models.TextField(editable=False)),
                ("prefix", models.TextField(editable=False)),
                ("lineage", models.UUIDField(default=kernel.ids.new_id, editable=False)),
                (
                    "permissions",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), default=list, size=None
                    ),
                ),
                (
                    "cidrs",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, default=list, size=None
                    ),
                ),
                (
                    "environment",
                    models.TextField(choices=[("live", "Live"), ("test", "Test")], default="live"),
                ),
                ("expires_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("created_by_kind", models.TextField(editable=False)),
                ("created_by_id", models.UUIDField(editable=False, null=True)),
                ("daily_inherits", models.BooleanField(default=True)),
                ("daily_limit", models.BigIntegerField(blank=True, null=True)),
                ("burst_inherits", models.BooleanField(default=True)),
                ("burst_rate", models.IntegerField(blank=True, null=True)),
                ("burst_depth", models.IntegerField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "tenant key",
                "db_table": "accounts_api_key",
                "ordering": ["-id"],
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(fields=("tenant_id", "id"), name="accounts_api_key_id"),
                    models.CheckConstraint(
                        condition=models.Q(("environment__in", ["live", "test"])),
                        name="accounts_api_key_environment",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("burst_depth__isnull", True), ("burst_rate__isnull", True)),
                            models.Q(("burst_depth__gt", 0), ("burst_rate__gt", 0)),
                            _connector="OR",
                        ),
                        name="accounts_api_key_burst",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.UUIDField(editable=False)),
                ("email", models.TextField()),
                ("name", models.TextField(blank=True, default="")),
                (
                    "role",
                    models.TextField(
                        choices=[
                            ("owner", "Owner"),
                            ("admin", "Administrator"),
                            ("developer", "Developer"),
                            ("billing", "Billing"),
                            ("auditor", "Auditor"),
                            ("member", "Member"),
                        ]
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "accounts_membership",
                "ordering": ["-id"],
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="PlatformKey",
            fields=[
                ("name", models.TextField()),
                ("public_id", models.TextField(editable=False)),
                ("prefix", models.TextField(editable=False)),
                ("lineage", models.UUIDField(default=kernel.ids.new_id, editable=False)),
                (
                    "permissions",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), default=list, size=None
                    ),
                ),
                (
                    "cidrs",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, default=list, size=None
                    ),
                ),
                (
                    "environment",
                    models.TextField(choices=[("live", "Live"), ("test", "Test")], default="live"),
                ),
                ("expires_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("created_by_kind", models.TextField(editable=False)),
                ("created_by_id", models.UUIDField(editable=False, null=True)),
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
            ],
            options={
                "db_table": "accounts_platform_key",
                "ordering": ["-id"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("environment__in", ["live", "test"])),
                        name="accounts_platform_key_environment",
                    )
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(("email", django.db.models.functions.text.Lower("email"))),
                name="accounts_user_email_lower",
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.UniqueConstraint(
                fields=("tenant_id", "id"), name="accounts_membership_id"
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.UniqueConstraint(
                fields=("tenant_id", "user"), name="accounts_membership_user"
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("role__in", ["owner", "admin", "developer", "billing", "auditor", "member"])
                ),
                name="accounts_membership_role",
            ),
        ),
        GrantTable("accounts_user"),
        GrantTable("accounts_user_groups"),
        GrantTable("accounts_user_user_permissions"),
        GrantTable("accounts_platform_key"),
        ProtectTenantTable("accounts_membership"),
        ProtectTenantTable("accounts_api_key", "SELECT, INSERT, UPDATE"),
        migrations.RunSQL(_USER_FOR, "DROP FUNCTION accounts_user_for(text, uuid)"),
        migrations.RunSQL(_TENANTS, migrations.RunSQL.noop),
        AuditGuard("accounts_membership", target_type="member"),
        AuditGuard("accounts_api_key", target_type="key"),
        AuditGuard("accounts_platform_key", tenant_column="", target_type="platform_key"),
    ]
