"""API keys: facts only. The secret's MAC stands in the gate, the secret itself nowhere."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.timezone import now

from kernel.authz import PrincipalKind
from kernel.ids import encode, new_id
from kernel.tenancy.models import TenantOwned

KEY_PREFIX = "key"


class Environment(models.TextChoices):
    """What a key is for; it shows in the key itself (``_live_``, ``_test_``)."""

    LIVE = "live", "Live"
    TEST = "test", "Test"


class Credential(models.Model):
    """What tenant keys and platform keys have in common.

    ``public_id`` is the readable part of the key, ``lineage`` what outlives a rotation. A rotated
    key has ``rotated_at`` and ends soon after; its successor names it in ``rotated_from``.
    """

    name = models.TextField()
    public_id = models.TextField(editable=False)
    prefix = models.TextField(editable=False)
    lineage = models.UUIDField(default=new_id, editable=False)
    permissions = ArrayField(models.TextField(), default=list)
    cidrs = ArrayField(models.TextField(), default=list, blank=True)
    environment = models.TextField(choices=Environment.choices, default=Environment.LIVE)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    rotated_at = models.DateTimeField(null=True, blank=True, editable=False)
    rotated_from = models.UUIDField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    created_by_kind = models.TextField(editable=False)
    created_by_id = models.UUIDField(null=True, editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.name} ({self.hint})"

    @property
    def shown_id(self) -> str:
        """Show the id as the API does: ``key_…``."""
        return encode(KEY_PREFIX, self.pk)

    @property
    def hint(self) -> str:
        """Give the part of the key by which people recognise it."""
        return f"{self.prefix}_{self.public_id}_…"

    @property
    def creator(self) -> str | None:
        """Show who issued the key: a key's id, a person's id, None for the system itself."""
        if self.created_by_id is None:
            return None
        staff = self.created_by_kind == PrincipalKind.STAFF
        return encode("usr" if staff else KEY_PREFIX, self.created_by_id)

    def status_at(self, now: datetime) -> str:
        """Tell whether the key is active, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at <= now else "active"


class ApiKey(Credential, TenantOwned):
    """A key of one tenant.

    ``daily_inherits`` and ``burst_inherits`` follow the plan; else the key has its own limit, and
    none where the value is null: ``burst_rate`` requests a second, ``burst_depth`` at once.
    """

    daily_inherits = models.BooleanField(default=True)
    daily_limit = models.BigIntegerField(null=True, blank=True)
    burst_inherits = models.BooleanField(default=True)
    burst_rate = models.IntegerField(null=True, blank=True)
    burst_depth = models.IntegerField(null=True, blank=True)

    class Meta(TenantOwned.Meta):
        abstract = False
        db_table = "accounts_api_key"
        ordering = ["-id"]
        verbose_name = "tenant key"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "id"], name="accounts_api_key_id"),
            models.CheckConstraint(
                condition=models.Q(environment__in=Environment.values),
                name="accounts_api_key_environment",
            ),
            models.CheckConstraint(
                condition=models.Q(burst_rate__isnull=True, burst_depth__isnull=True)
                | models.Q(burst_rate__gt=0, burst_depth__gt=0),
                name="accounts_api_key_burst",
            ),
        ]


class PlatformKey(Credential):
    """A key of the operator's own services. No tenant's: only staff reads and writes these."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)

    class Meta:
        db_table = "accounts_platform_key"
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(environment__in=Environment.values),
                name="accounts_platform_key_environment",
            ),
        ]
