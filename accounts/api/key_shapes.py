"""What keys look like outside, and how one is asked for."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import ApiKey, Environment, PlatformKey
from accounts.models.keys import KEY_PREFIX, Credential
from accounts.services.issuing import MAX_CIDRS, MAX_NAME, MAX_PERMISSIONS, NewKey
from accounts.services.rotating import DEFAULT_GRACE, MAX_GRACE
from kernel.gate.projection import Burst, Override
from kernel.http.inputs import Input, ReasonInput
from kernel.ids import encode

_BURST = {
    "oneOf": [
        {"type": "integer", "minimum": 1, "description": "So many a second, and at once."},
        {
            "type": "object",
            "properties": {
                "rate": {"type": "integer", "minimum": 1},
                "depth": {"type": "integer", "minimum": 1},
            },
            "required": ["rate", "depth"],
            "additionalProperties": False,
        },
    ],
}
_ABSENT = "Absent: the plan's. null: none."


@extend_schema_field(_BURST)
class BurstField(serializers.Field[Any, Any, Any, Any]):
    """A burst limit: ``{"rate": per second, "depth": at once}``, or one number for both."""

    default_error_messages = {
        "invalid": 'burst is {"rate": n, "depth": n}, a whole number, or null.',
    }

    def to_internal_value(self, data: Any) -> Burst:
        """Read it."""
        if _whole(data):
            return Burst(data, data)
        if (
            isinstance(data, Mapping)
            and set(data) == {"rate", "depth"}
            and all(map(_whole, data.values()))
        ):
            return Burst(data["rate"], data["depth"])
        raise serializers.ValidationError(self.error_messages["invalid"], code="invalid")

    def to_representation(self, value: Any) -> Any:
        """Show it; the views have written it already."""
        return value


class NewKeyInput(Input):
    """A tenant key to be."""

    name = serializers.CharField(max_length=MAX_NAME)
    permissions = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        allow_null=True,
        max_length=MAX_PERMISSIONS,
        help_text="resource:action, also of your own product; * for a whole segment. Absent: what"
        " a service needs to report usage, read what its tenant has, and verify its keys.",
    )
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="At most 365 days ahead, which is the default."
    )
    cidrs = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        default=list,
        max_length=MAX_CIDRS,
        help_text="Addresses and networks it may be used from; empty: anywhere.",
    )
    daily = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, help_text=f"Requests a UTC day. {_ABSENT}"
    )
    burst = BurstField(required=False, allow_null=True, help_text=_ABSENT)
    environment = serializers.ChoiceField(
        Environment.choices, required=False, default=Environment.LIVE.value
    )


class NewPlatformKeyInput(Input):
    """A platform key to be; it has no limits."""

    name = serializers.CharField(max_length=MAX_NAME)
    permissions = serializers.ListField(
        child=serializers.CharField(),
        max_length=MAX_PERMISSIONS,
        help_text="resource:action, or * for a whole segment: *:* is everything.",
    )
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="At most 365 days ahead, which is the default."
    )
    cidrs = serializers.ListField(
        child=serializers.CharField(), required=False, default=list, max_length=MAX_CIDRS
    )
    environment = serializers.ChoiceField(
        Environment.choices, required=False, default=Environment.LIVE.value
    )


class RotationInput(ReasonInput):
    """How long a rotated key goes on beside its successor."""

    grace_seconds = serializers.IntegerField(
        required=False,
        default=int(DEFAULT_GRACE.total_seconds()),
        min_value=0,
        max_value=int(MAX_GRACE.total_seconds()),
        help_text="So long the key works beside its successor. 0: it ends now.",
    )


class CredentialSerializer(serializers.Serializer[Any]):
    """A key's facts. The secret is in no answer but the one that created it."""

    id = serializers.CharField(help_text="key_…")
    name = serializers.CharField()
    prefix = serializers.CharField(help_text="ikt_live_<public id>: how people recognise it.")
    status = serializers.ChoiceField(["active", "expired", "revoked"])
    environment = serializers.ChoiceField(Environment.choices)
    permissions = serializers.ListField(child=serializers.CharField())
    cidrs = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_null=True, help_text="key_… or usr_…")
    revoked_at = serializers.DateTimeField(allow_null=True)
    rotated_at = serializers.DateTimeField(
        allow_null=True, help_text="When it got a successor; it ends at expires_at."
    )
    rotated_from = serializers.CharField(
        allow_null=True, help_text="key_…: the key in whose place this one came."
    )


class KeySerializer(CredentialSerializer):
    """A tenant key's facts."""

    tenant = serializers.CharField(help_text="ten_…")
    daily = serializers.IntegerField(required=False, allow_null=True, help_text=_ABSENT)
    burst = BurstField(required=False, allow_null=True, help_text=_ABSENT)
    last_used_at = serializers.DateTimeField(allow_null=True)


class IssuedKeySerializer(KeySerializer):
    """A new tenant key, with the key itself."""

    key = serializers.CharField(help_text="Shown this once and stored nowhere.")


class IssuedPlatformKeySerializer(CredentialSerializer):
    """A new platform key, with the key itself."""

    key = serializers.CharField(help_text="Shown this once and stored nowhere.")


def grace(fields: Mapping[str, Any]) -> timedelta:
    """Read how long a rotated key goes on."""
    return timedelta(seconds=fields["grace_seconds"])


def new_key(fields: Mapping[str, Any]) -> NewKey:
    """Turn a validated body into the service's input: an absent limit is not a null one."""
    names = fields.get("permissions")
    return NewKey(
        name=fields["name"],
        permissions=None if names is None else tuple(names),
        cidrs=tuple(fields["cidrs"]),
        expires_at=fields.get("expires_at"),
        daily=Override(fields["daily"]) if "daily" in fields else None,
        burst=Override(fields["burst"]) if "burst" in fields else None,
        environment=fields["environment"],
    )


def credential(key: Credential, now: datetime) -> dict[str, Any]:
    """Show what tenant keys and platform keys have in common."""
    return {
        "id": key.shown_id,
        "name": key.name,
        "prefix": f"{key.prefix}_{key.public_id}",
        "status": key.status_at(now),
        "environment": key.environment,
        "permissions": key.permissions,
        "cidrs": key.cidrs,
        "expires_at": key.expires_at,
        "created_at": key.created_at,
        "created_by": key.creator,
        "revoked_at": key.revoked_at,
        "rotated_at": key.rotated_at,
        "rotated_from": encode(KEY_PREFIX, key.rotated_from) if key.rotated_from else None,
    }


def tenant_key(
    key: ApiKey, tenant: str, now: datetime, last_used: datetime | None
) -> dict[str, Any]:
    """Show a tenant key. Limits that follow the plan are absent."""
    item = {**credential(key, now), "tenant": tenant, "last_used_at": last_used}
    if not key.daily_inherits:
        item["daily"] = key.daily_limit
    if not key.burst_inherits:
        lifted = key.burst_rate is None
        item["burst"] = None if lifted else {"rate": key.burst_rate, "depth": key.burst_depth}
    return item


def platform_key(key: PlatformKey, now: datetime) -> dict[str, Any]:
    """Show a platform key."""
    return credential(key, now)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
