"""Streams and the state of anchors, as the ORM and the operator's pages see them."""

from typing import ClassVar, Final, Self
from uuid import UUID

from django.db import models

from kernel.tenancy.models import TenantOwned


class LogStream(TenantOwned):
    """Where a tenant's logs go, or the instance's own; `secret` is sealed and never shown."""

    class Kind(models.TextChoices):
        """How batches travel."""

        WEBHOOK = "webhook", "HTTPS, signed"
        SPLUNK = "splunk", "Splunk HTTP Event Collector"
        SYSLOG = "syslog", "syslog over TLS"

    class Content(models.TextChoices):
        """What is sent."""

        ENTRIES = "entries", "Entries"
        CHECKPOINTS = "checkpoints", "Signed checkpoints"

    class Scope(models.TextChoices):
        """Of which logs."""

        PLATFORM = "platform", "What Innkeeper says"
        TENANT = "tenant", "What own applications report"
        BOTH = "both", "Both"
        EVERYTHING = "everything", "All logs of all tenants"

    class Status(models.TextChoices):
        """Whether anything is sent."""

        ACTIVE = "active", "Active"
        PAUSED = "paused", "Paused"

    class Reason(models.TextChoices):
        """Why nothing is sent."""

        NONE = "", "–"
        ASKED = "asked", "Asked for"
        FAILING = "failing", "Failed for too long"
        GONE = "gone", "The receiver is gone"

    name = models.TextField()
    kind = models.TextField(choices=Kind.choices)
    content = models.TextField(choices=Content.choices)
    scope = models.TextField(choices=Scope.choices)
    url = models.TextField()
    secret = models.BinaryField(null=True)
    status = models.TextField(choices=Status.choices, db_default=Status.ACTIVE)
    reason = models.TextField(choices=Reason.choices, db_default=Reason.NONE)
    created_at = models.DateTimeField(db_default=models.functions.Now())

    class Meta(TenantOwned.Meta):
        managed = False
        db_table = "audit_stream"
        ordering = ["-id"]
        verbose_name = "stream"

    def __str__(self) -> str:
        return self.name


SCHEMES: Final = {
    LogStream.Kind.WEBHOOK: ("https", "http"),
    LogStream.Kind.SPLUNK: ("https", "http"),
    LogStream.Kind.SYSLOG: ("syslog+tls",),
}
"""The schemes of addresses by kind. Plain HTTP leads to networks that the operator opened only."""


class AnchorState(models.Model):
    """How one anchor of the instance fares."""

    name = models.TextField(primary_key=True)
    kind = models.TextField()
    log_id = models.UUIDField(null=True)
    size = models.BigIntegerField()
    anchored_at = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(null=True)
    next_at = models.DateTimeField()
    failures = models.IntegerField()
    last_error = models.TextField()

    objects: ClassVar[models.Manager[Self]] = models.Manager()

    class Meta:
        managed = False
        db_table = "audit_anchor_state"
        ordering = ["name"]
        verbose_name = "anchor"

    def __str__(self) -> str:
        return self.name


def purpose(stream_id: UUID) -> str:
    """Name what a stream's secret is sealed for."""
    return f"audit_stream:{stream_id}"
