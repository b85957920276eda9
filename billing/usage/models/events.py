"""Usage events as the staff's admin sees them. Writing is ingest's alone (sql/ingest.sql)."""

from typing import ClassVar, Self

from django.db import models

from kernel.tenancy.models import TenantManager


class UsageEvent(models.Model):
    """One accepted CloudEvent. ``seq`` is the order of ingest; time and data are the sender's.

    The table is partitioned by month of ``time`` and belongs to the migrations (unmanaged here).
    ``tenant_id`` is empty while no tenant is known for the subject of an operator's event.
    """

    seq = models.BigIntegerField(primary_key=True)
    tenant_id = models.UUIDField(null=True)
    scope = models.UUIDField()
    key_id = models.UUIDField(null=True)
    source = models.TextField()
    event_id = models.TextField(db_column="id")
    type = models.TextField()
    subject = models.TextField()
    time = models.DateTimeField()
    data = models.JSONField(null=True)
    dataschema = models.TextField(null=True)  # noqa: DJ001 - absent and empty differ in CloudEvents
    ingested_at = models.DateTimeField()

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        managed = False
        db_table = "billing_usage_event"
        base_manager_name = "objects"
        ordering = ["-time", "-seq"]

    def __str__(self) -> str:
        return f"{self.type} {self.source} {self.event_id}"
