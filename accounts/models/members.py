"""Who belongs to a tenant, and as what."""

from django.conf import settings
from django.db import models
from django.utils.timezone import now

from accounts.roles import BUILT_IN
from kernel.ids import encode
from kernel.tenancy.models import TenantOwned

MEMBER_PREFIX = "mem"
MAX_NAME = 200


class Membership(TenantOwned):
    """A person in one tenant, with one role.

    ``email`` and ``name`` are the tenant's own copies: the app role cannot read the person's row,
    and what one tenant calls somebody is no other tenant's business.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="memberships"
    )
    email = models.TextField()
    name = models.TextField(blank=True, default="")
    role = models.TextField(choices=[(role.key, role.label) for role in BUILT_IN.values()])
    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantOwned.Meta):
        abstract = False
        db_table = "accounts_membership"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "id"], name="accounts_membership_id"),
            models.UniqueConstraint(fields=["tenant_id", "user"], name="accounts_membership_user"),
            models.CheckConstraint(
                condition=models.Q(role__in=list(BUILT_IN)), name="accounts_membership_role"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.role})"

    @property
    def public_id(self) -> str:
        """Show the id as the API does: ``mem_…``."""
        return encode(MEMBER_PREFIX, self.id)
