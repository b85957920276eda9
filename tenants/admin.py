"""Tenants on the operator's site."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from audit.services import holds
from kernel import ports
from kernel.staff import StaffModelAdmin, service_action
from tenants import services
from tenants.models import PREFIX, Tenant

_OWNED = (
    ("keys", "admin:accounts_apikey_changelist"),
    ("members", "admin:accounts_membership_changelist"),
)

_SUSPEND = service_action(
    "suspend",
    "Suspend selected tenants",
    done="suspended",
    warning="Their keys are refused from the next request on, with 403 tenant_suspended.",
    act=lambda tenant, reason: services.suspend(tenant.pk, reason=reason),
)
_RESTORE = service_action(
    "restore",
    "Restore selected tenants",
    done="restored",
    warning="Their keys are admitted again from the next request on.",
    act=lambda tenant, reason: services.restore(tenant.pk, reason=reason),
)
_CLOSE = service_action(
    "close",
    "Close selected tenants",
    done="closed",
    warning="To their keys these tenants are gone (404). They can be restored.",
    act=lambda tenant, reason: services.close(tenant.pk, reason=reason),
)
_HOLD = service_action(
    "hold_audit_log",
    "Hold the audit log of selected tenants",
    done="put under a legal hold",
    warning="Nothing of their audit logs is pruned or erased until the hold is released. "
    "A reason is needed.",
    act=lambda tenant, reason: holds.hold(tenant.pk, reason=reason),
)


@admin.register(Tenant)
class TenantAdmin(StaffModelAdmin):
    """Look up tenants; suspend, restore and close them."""

    id_prefix = PREFIX
    list_display = ("slug", "name", "status", "api_id", "created_at")
    list_filter = ("status",)
    search_fields = ("slug", "name")
    actions = [_SUSPEND, _RESTORE, _CLOSE, _HOLD]
    fields = (
        "api_id", "slug", "name", "status", "plan", "timezone", "owned",
        "created_at", "updated_at", "suspended_at", "closed_at",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description="plan")
    def plan(self, tenant: Tenant) -> str:
        """Name the tenant's plan."""
        return ports.plans().key_of(tenant.id) or "–"

    @admin.display(description="owns")
    def owned(self, tenant: Tenant) -> SafeString:
        """Link to what the tenant owns."""
        links = ((reverse(route), tenant.public_id, name) for name, route in _OWNED)
        return format_html_join(" · ", '<a href="{}?q={}">{}</a>', links) or format_html("–")
