"""Profiles: what OpenMeter's customers have beside what a tenant is."""

from django.db import models

from kernel.tenancy.models import TenantOwned


class CustomerProfile(TenantOwned):
    """How a tenant is billed and described: its own to keep, but for the currency.

    One for each tenant that has any. Name, key and life are the tenant's (docs/adr/0098).
    """

    description = models.TextField(blank=True, default="")
    primary_email = models.TextField(blank=True, default="")
    currency = models.CharField(max_length=3, blank=True, default="")
    billing_address = models.JSONField(default=dict, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "billing_customer"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "id"], name="billing_customer_tenant"),
            models.UniqueConstraint(fields=["tenant_id"], name="billing_customer_once"),
        ]

    def __str__(self) -> str:
        return str(self.tenant_id)
