"""The tables of the sealed log, read through the ORM and written by SQL alone.

Rows of the app role are fenced by row-level security; the manager fences once more, like every
tenant-owned model of the house. Nothing here can be saved or deleted through the ORM.
"""

from typing import Any, ClassVar, Final, NoReturn, Self
from uuid import UUID

from django.db import models

from audit.streams.models import AnchorState, LogStream
from kernel.tenancy.models import TenantManager

__all__ = [
    "HEADS_STREAM",
    "PLATFORM_TENANT",
    "AnchorState",
    "AppendOnlyError",
    "Declaration",
    "Event",
    "Head",
    "Leaf",
    "LogStream",
    "Outcome",
    "Sealed",
    "Stream",
]

PLATFORM_TENANT: Final = UUID(int=0)
"""The tenant of entries that concern the instance itself: no tenant ever sees them."""


HEADS_STREAM: Final = 2
"""Stream of the instance's log of heads, under the instance's own tenant. It holds no entries."""


class Stream(models.IntegerChoices):
    """Who speaks in a log: Innkeeper about a tenant, or the tenant's own applications."""

    PLATFORM = 0
    TENANT = 1


class Outcome(models.TextChoices):
    """How an attempt ended."""

    SUCCESS = "success"
    DENIED = "denied"
    FAILED = "failed"


class AppendOnlyError(RuntimeError):
    """A row of the log was about to be written through the ORM: a fault of the program."""


class Sealed(models.Model):
    """A row of one tenant that the ORM only reads."""

    tenant_id = models.UUIDField(editable=False)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def save(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse.

        Raises:
            AppendOnlyError: always.
        """
        raise AppendOnlyError("audit rows are written by audit.services and the sealer only")

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse.

        Raises:
            AppendOnlyError: always.
        """
        raise AppendOnlyError("audit rows are never deleted")


class Event(Sealed):
    """One entry: the hashed bytes (`leaf`) and columns projected from them for filters."""

    id = models.UUIDField(primary_key=True, editable=False)
    stream = models.PositiveSmallIntegerField(choices=Stream.choices)
    seq = models.BigIntegerField()
    recorded_at = models.DateTimeField()
    occurred_at = models.DateTimeField()
    action = models.TextField()
    actor_type = models.TextField()
    actor_id = models.TextField()
    on_behalf_of = models.TextField()
    target_type = models.TextField()
    target_id = models.TextField()
    outcome = models.TextField(choices=Outcome.choices)
    request_id = models.TextField()
    leaf = models.BinaryField()
    leaf_hash = models.BinaryField()

    class Meta(Sealed.Meta):
        managed = False
        db_table = "audit_event"
        ordering = ["-id"]
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.action} {self.id}"


class Declaration(Sealed):
    """One version of an action of a tenant's own applications: what its metadata may hold."""

    id = models.UUIDField(primary_key=True, editable=False)
    action = models.TextField()
    version = models.PositiveIntegerField()
    template = models.TextField()
    schema = models.JSONField()
    created_at = models.DateTimeField()

    class Meta(Sealed.Meta):
        managed = False
        db_table = "audit_schema"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.action} v{self.version}"


class Head(Sealed):
    """The present size and root of one log; `frontier` is all the sealer needs to go on."""

    log_id = models.UUIDField(primary_key=True)
    stream = models.PositiveSmallIntegerField(choices=Stream.choices)
    epoch = models.PositiveIntegerField()
    origin = models.TextField()
    size = models.BigIntegerField()
    root = models.BinaryField()
    created_at = models.DateTimeField()

    class Meta(Sealed.Meta):
        managed = False
        db_table = "audit_head"
        ordering = ["tenant_id", "stream", "-epoch"]

    def __str__(self) -> str:
        return f"log {self.log_id} of {self.size}"


class Leaf(Sealed):
    """Where an entry stands in its log."""

    event_id = models.UUIDField(primary_key=True)
    log_id = models.UUIDField()
    leaf_index = models.BigIntegerField()
    recorded_at = models.DateTimeField()
    leaf_hash = models.BinaryField()

    class Meta(Sealed.Meta):
        managed = False
        db_table = "audit_leaf"

    def __str__(self) -> str:
        return f"{self.log_id}/{self.leaf_index}"


class Hold(Sealed):
    """A legal hold: what of one tenant must stay, whatever its age and whoever asks."""

    id = models.UUIDField(primary_key=True, editable=False)
    reason = models.TextField()
    filter = models.JSONField(default=dict)
    set_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True)

    class Meta(Sealed.Meta):
        managed = False
        db_table = "audit_hold"
        ordering = ["-id"]
        verbose_name = "legal hold"

    def __str__(self) -> str:
        return f"hold {self.id}"
