"""What tenants look like outside."""

from typing import Any

from rest_framework import serializers

from kernel.http.inputs import Input
from tenants.models import MAX_NAME, SLUG_PATTERN, Status, Tenant


class NewTenantInput(Input):
    """A tenant to be."""

    name = serializers.CharField(max_length=MAX_NAME)
    slug = serializers.CharField(help_text=f"Unique; {SLUG_PATTERN}")
    plan = serializers.CharField(help_text="A plan's key, such as basic.")
    owner_email = serializers.CharField(
        required=False, allow_null=True, help_text="Makes this person the owner."
    )
    timezone = serializers.CharField(default="UTC", help_text="IANA name.")


class TenantSerializer(serializers.Serializer[Any]):
    """A tenant. ``plan`` is the key of what it has now."""

    id = serializers.CharField(help_text="ten_…")
    slug = serializers.CharField()
    name = serializers.CharField()
    status = serializers.ChoiceField(Status.values)
    plan = serializers.CharField(allow_null=True)
    timezone = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    suspended_at = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)


def shown(tenant: Tenant, plan: str | None) -> dict[str, Any]:
    """Show a tenant with its plan's key."""
    return {
        "id": tenant.public_id,
        "slug": tenant.slug,
        "name": tenant.name,
        "status": tenant.status,
        "plan": plan,
        "timezone": tenant.timezone,
        "created_at": tenant.created_at,
        "updated_at": tenant.updated_at,
        "suspended_at": tenant.suspended_at,
        "closed_at": tenant.closed_at,
    }
