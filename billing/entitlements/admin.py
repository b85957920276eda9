"""What tenants were given beside their plans, on the operator's site. Changed over the API only."""

from typing import Any

from django.contrib import admin

from billing.entitlements.models import Entitlement, Grant, ThresholdCrossing
from billing.entitlements.models.entitlements import ENTITLEMENT_PREFIX
from billing.entitlements.models.grants import GRANT_PREFIX
from billing.usage.queries.customers import public_id
from kernel.staff import StaffModelAdmin


class OfTenant(StaffModelAdmin):
    """A tenant-owned model: its tenant is shown by its public id, and found by it."""

    @admin.display(description="tenant", ordering="tenant_id")
    def tenant(self, row: Any) -> str:
        """Show the tenant's id."""
        return public_id(row.tenant_id) if row.tenant_id else "–"


@admin.register(Entitlement)
class EntitlementAdmin(OfTenant):
    """Look up entitlements of tenants' own."""

    id_prefix = ENTITLEMENT_PREFIX
    list_display = ("feature", "tenant", "type", "active_from", "deleted_at")
    list_select_related = ("feature",)
    list_filter = ("type", ("deleted_at", admin.EmptyFieldListFilter))
    search_fields = ("feature__key",)
    fields = readonly_fields = (
        "api_id", *list_display, "interval", "anchor", "measure_from", "soft", "issue",
        "issue_priority", "preserve_overage", "config", "metadata", "created_at", "updated_at",
    )  # fmt: skip


@admin.register(Grant)
class GrantAdmin(OfTenant):
    """Look up grants."""

    id_prefix = GRANT_PREFIX
    list_display = (
        "feature", "tenant", "amount", "priority", "effective_at", "expires_at", "voided_at",
    )  # fmt: skip
    list_select_related = ("feature",)
    list_filter = (("voided_at", admin.EmptyFieldListFilter),)
    search_fields = ("feature__key",)
    fields = readonly_fields = (
        "api_id", *list_display, "min_rollover", "max_rollover", "interval", "anchor", "metadata",
        "created_at",
    )  # fmt: skip


@admin.register(ThresholdCrossing)
class ThresholdCrossingAdmin(OfTenant):
    """Look up which tenants came near a limit."""

    list_display = ("feature_key", "tenant", "threshold", "usage", "limit", "crossed_at")
    list_filter = ("threshold",)
    search_fields = ("feature_key",)
    fields = readonly_fields = (*list_display, "period_start", "period_end", "rearmed_at")
