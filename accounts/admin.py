"""People, members and keys on the operator's site."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.models import ApiKey, Membership, PlatformKey, User
from accounts.models.keys import KEY_PREFIX, Credential
from accounts.models.members import MEMBER_PREFIX
from accounts.models.users import USER_PREFIX
from accounts.services import keys, platform_keys
from kernel import ids
from kernel.gate import projection
from kernel.staff import StaffModelAdmin, service_action

admin.site.unregister(Group)  # a form that changes groups would pass by services and audit log

_WARNING = "These keys are refused from the next request on, for good."
_REVOKE = service_action(
    "revoke",
    "Revoke selected keys",
    done="revoked",
    warning=_WARNING,
    act=lambda key, reason: keys.revoke(key.pk, reason=reason),
)
_REVOKE_PLATFORM = service_action(
    "revoke",
    "Revoke selected keys",
    done="revoked",
    warning=f"{_WARNING} Services that use them stop working.",
    act=lambda key, reason: platform_keys.revoke(key.pk, reason=reason),
)

_ROTATION = (
    "Each key gets a successor with another secret, which the next page shows once. The key itself"
    " works for another day."
)
_ROTATE = service_action(
    "rotate",
    "Rotate selected keys",
    done="rotated",
    warning=_ROTATION,
    act=lambda key, reason: keys.rotate(key.pk, reason=reason).text,
    secret=True,
)
_ROTATE_PLATFORM = service_action(
    "rotate",
    "Rotate selected keys",
    done="rotated",
    warning=_ROTATION,
    act=lambda key, reason: platform_keys.rotate(key.pk, reason=reason).text,
    secret=True,
)


class StateFilter(admin.SimpleListFilter):
    """Active, expired or revoked."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the three states."""
        return [("active", "Active"), ("expired", "Expired"), ("revoked", "Revoked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter by the chosen state."""
        now = timezone.now()
        wanted = {
            "active": Q(revoked_at=None, expires_at__gt=now),
            "expired": Q(revoked_at=None, expires_at__lte=now),
            "revoked": Q(revoked_at__isnull=False),
        }
        return queryset.filter(wanted.get(self.value() or "", Q()))


class CredentialAdmin(StaffModelAdmin):
    """What tenant keys and platform keys have in common."""

    id_prefix = KEY_PREFIX
    list_filter = (StateFilter, "environment")
    search_fields = ("name", "public_id")

    @admin.display(description="key")
    def recognised_by(self, key: Credential) -> str:
        """Show the readable part of the key."""
        return key.hint

    @admin.display(description="state")
    def state(self, key: Credential) -> str:
        """Show whether the key is active, expired or revoked."""
        return key.status_at(timezone.now())

    @admin.display(description="in place of")
    def replaces(self, key: Credential) -> str:
        """Show the key whose successor this one is."""
        return ids.encode(KEY_PREFIX, key.rotated_from) if key.rotated_from else "-"

    @admin.display(description="created by")
    def creator(self, key: Credential) -> str:
        """Show who issued the key."""
        return key.creator or key.created_by_kind


@admin.register(ApiKey)
class ApiKeyAdmin(CredentialAdmin):
    """Look up tenants' keys and revoke them."""

    list_display = ("name", "recognised_by", "tenant", "state", "expires_at", "created_at")
    actions = [_ROTATE, _REVOKE]
    fields = (
        "api_id", "name", "recognised_by", "tenant", "state", "environment", "permissions",
        "cidrs", "daily", "burst", "expires_at", "last_used", "created_at", "creator", "rotated_at",
        "replaces", "revoked_at",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description="tenant")
    def tenant(self, key: ApiKey) -> SafeString:
        """Link to the tenant."""
        return tenant_link(key.tenant_id)

    @admin.display(description="daily limit")
    def daily(self, key: ApiKey) -> str:
        """Show the key's own daily limit."""
        if key.daily_inherits:
            return "the plan's"
        return "none" if key.daily_limit is None else str(key.daily_limit)

    @admin.display(description="burst")
    def burst(self, key: ApiKey) -> str:
        """Show the key's own burst limit."""
        if key.burst_inherits:
            return "the plan's"
        if key.burst_rate is None:
            return "none"
        return f"{key.burst_rate}/s, {key.burst_depth} at once"

    @admin.display(description="last used")
    def last_used(self, key: ApiKey) -> datetime | None:
        """Ask the gate when the key was admitted last."""
        return projection.last_used([key.id]).get(key.id)


@admin.register(PlatformKey)
class PlatformKeyAdmin(CredentialAdmin):
    """Look up the operator's own keys and revoke them."""

    list_display = ("name", "recognised_by", "state", "expires_at", "created_at")
    actions = [_ROTATE_PLATFORM, _REVOKE_PLATFORM]
    fields = (
        "api_id", "name", "recognised_by", "state", "environment", "permissions", "cidrs",
        "expires_at", "created_at", "creator", "rotated_at", "replaces", "revoked_at",
    )  # fmt: skip
    readonly_fields = fields


@admin.register(Membership)
class MembershipAdmin(StaffModelAdmin):
    """Look up who belongs to which tenant."""

    id_prefix = MEMBER_PREFIX
    list_display = ("email", "name", "role", "tenant", "created_at")
    list_filter = ("role",)
    search_fields = ("email", "name")
    fields = ("api_id", "tenant", "person", "email", "name", "role", "created_at", "updated_at")
    readonly_fields = fields

    @admin.display(description="tenant")
    def tenant(self, member: Membership) -> SafeString:
        """Link to the tenant."""
        return tenant_link(member.tenant_id)

    @admin.display(description="person")
    def person(self, member: Membership) -> SafeString:
        """Link to the person."""
        page = reverse("admin:accounts_user_change", args=[member.user_id])
        return format_html('<a href="{}">{}</a>', page, ids.encode(USER_PREFIX, member.user_id))


@admin.register(User)
class UserAdmin(StaffModelAdmin):
    """Look up people. Their password hash is on no page."""

    id_prefix = USER_PREFIX
    list_display = ("email", "name", "is_staff", "is_active", "last_login", "created_at")
    list_filter = ("is_staff", "is_superuser", "is_active")
    search_fields = ("email", "name")
    fields = (
        "api_id", "email", "name", "is_active", "is_staff", "is_superuser", "memberships",
        "last_login", "created_at",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description="member of")
    def memberships(self, user: User) -> SafeString:
        """Link to the person's memberships."""
        page = reverse("admin:accounts_membership_changelist")
        return format_html('<a href="{}?q={}">memberships</a>', page, user.email)


def tenant_link(tenant_id: UUID) -> SafeString:
    """Link to a tenant's page under its public id."""
    page = reverse("admin:tenants_tenant_change", args=[tenant_id])
    return format_html('<a href="{}">{}</a>', page, ids.encode(ids.TENANT, tenant_id))
