"""Keys that take the place of others: docs/adr/0140."""

from django.db import migrations, models

from kernel.tenancy.operations import CompositeForeignKey


class Migration(migrations.Migration):
    """Columns without defaults, and a key over a column that is empty: short locks, no rewrite."""

    dependencies = [
        ("accounts", "0002_staff_grants"),
        ("kernel", "0016_rotation"),
    ]
    operations = [
        migrations.AddField(
            "apikey", "rotated_at", models.DateTimeField(blank=True, editable=False, null=True)
        ),
        migrations.AddField(
            "apikey", "rotated_from", models.UUIDField(blank=True, editable=False, null=True)
        ),
        migrations.AddField(
            "platformkey", "rotated_at", models.DateTimeField(blank=True, editable=False, null=True)
        ),
        migrations.AddField(
            "platformkey", "rotated_from", models.UUIDField(blank=True, editable=False, null=True)
        ),
        CompositeForeignKey("accounts_api_key", "rotated_from", "accounts_api_key"),
        migrations.RunSQL(
            "ALTER TABLE accounts_platform_key ADD CONSTRAINT accounts_platform_key_rotated_fk"
            " FOREIGN KEY (rotated_from) REFERENCES accounts_platform_key (id)",
            "ALTER TABLE accounts_platform_key DROP CONSTRAINT accounts_platform_key_rotated_fk",
        ),
    ]
