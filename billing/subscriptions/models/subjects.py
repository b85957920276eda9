"""Subjects: names and facts of those whom a customer's usage concerns."""

from django.db import models

from billing.usage.models import OPERATOR
from kernel.ids import new_id
from kernel.tenancy import context

SUBJECT_PREFIX = "sbj"


class SubjectManager(models.Manager["Subject"]):
    """The subjects of the tenant of the context, or of everybody across tenants."""

    def get_queryset(self) -> models.QuerySet["Subject"]:
        """Give the visible subjects.

        Raises:
            kernel.tenancy.TenantRequiredError: neither a tenant nor all tenants are set.
        """
        rows: models.QuerySet[Subject] = super().get_queryset()
        if isinstance(context.scope(), context.AllTenants):
            return rows
        return rows.filter(scope=context.current_tenant())


class Subject(models.Model):
    """One subject by its key: optional, for a usage event names any subject it likes.

    ``scope`` is the tenant whose subject it is; OPERATOR where a platform key described a subject
    that belongs to no tenant yet. A key is unique within its scope.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    scope = models.UUIDField(default=OPERATOR, editable=False)
    key = models.TextField()
    display_name = models.TextField(blank=True, default="")
    metadata = models.JSONField(null=True, blank=True)
    current_period_start = models.DateTimeField(null=True, blank=True)
    current_period_end = models.DateTimeField(null=True, blank=True)
    stripe_customer_id = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = SubjectManager()

    class Meta:
        db_table = "billing_subject"
        base_manager_name = "objects"
        ordering = ["key"]
        constraints = [
            models.UniqueConstraint(fields=["scope", "key"], name="billing_subject_key"),
            models.CheckConstraint(
                name="billing_subject_key_given",
                condition=~models.Q(key=""),
            ),
        ]

    def __str__(self) -> str:
        return self.key
