"""The kernel's own tables, as Django sees them."""

from django.db import models


class OutboxEvent(models.Model):
    """A domain event on its way to its subscribers; ``done`` names those that have handled it."""

    id = models.UUIDField(primary_key=True)
    tenant_id = models.UUIDField(null=True)
    name = models.TextField()
    payload = models.JSONField()
    occurred_at = models.DateTimeField()
    available_at = models.DateTimeField()
    ordering_key = models.TextField(null=True)  # noqa: DJ001 - null means unordered
    position = models.BigIntegerField(null=True)
    attempts = models.IntegerField(default=0, db_default=0)
    token = models.BigIntegerField(default=0, db_default=0)
    leased_until = models.DateTimeField(null=True)
    done = models.JSONField(default=list, db_default=[])
    delivered_at = models.DateTimeField(null=True)
    dead_at = models.DateTimeField(null=True)
    last_error = models.TextField(default="", db_default="")

    class Meta:
        db_table = "kernel_outbox"
        verbose_name = "outbox event"
        indexes = [
            models.Index(
                fields=["available_at", "id"],
                name="kernel_outbox_due",
                condition=models.Q(delivered_at=None, dead_at=None),
            ),
            models.Index(fields=["tenant_id", "id"], name="kernel_outbox_tenant"),
            models.Index(
                fields=["ordering_key", "position"],
                name="kernel_outbox_order",
                condition=models.Q(delivered_at=None, dead_at=None, ordering_key__isnull=False),
            ),
            models.Index(
                fields=["leased_until"],
                name="kernel_outbox_leased",
                condition=models.Q(delivered_at=None, dead_at=None, leased_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.id}"
