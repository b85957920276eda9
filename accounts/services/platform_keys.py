"""Issuing, rotating and revoking the operator's own keys. Runs across tenants (alias staff)."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from accounts import queries
from accounts.actions import PLATFORM_KEY_CREATED, PLATFORM_KEY_REVOKED, PLATFORM_KEY_ROTATED
from accounts.models import Environment, PlatformKey
from accounts.services import rotating
from accounts.services.granting import require_ceiling
from accounts.services.issuing import NewKey, drafted, told
from audit.services import Target, audited, record
from kernel.errors import Invalid
from kernel.gate import keys as format_of_keys
from kernel.gate import projection


@dataclass(frozen=True, slots=True)
class IssuedPlatformKey:
    """A new key: ``text`` is the key itself, shown once and stored nowhere."""

    key: PlatformKey
    text: str


def create(new: NewKey) -> IssuedPlatformKey:
    """Issue a platform key. It has no limits, and no default permissions: power is named.

    Raises:
        kernel.errors.Invalid: a fault of form, permissions missing, or limits given.
        kernel.errors.Forbidden: a permission that the caller lacks (``permission_ceiling``).
    """
    new.check(timezone.now())
    if new.permissions is None:
        raise Invalid("Name the permissions of a platform key.", pointer="/permissions")
    if new.daily is not None or new.burst is not None:
        raise Invalid("A platform key has no limits of its own.", pointer="/daily")
    permissions = tuple(dict.fromkeys(new.permissions))
    require_ceiling(permissions, "/permissions")
    minted = format_of_keys.mint(format_of_keys.PLATFORM, test=new.environment == Environment.TEST)
    key = PlatformKey(**drafted(new, minted, permissions))
    with audited():
        key.save(force_insert=True)
        projection.put_credential(
            minted,
            key_id=key.id,
            lineage=key.lineage,
            tenant_id=None,
            permissions=key.permissions,
            cidrs=key.cidrs,
            expires_at=key.expires_at,
        )
        record(
            action=PLATFORM_KEY_CREATED.name,
            target_type="platform_key",
            target_id=key.shown_id,
            after=told(key),
        )
    return IssuedPlatformKey(key, minted.text)


def rotate(
    key_id: UUID, *, grace: timedelta = rotating.DEFAULT_GRACE, reason: str = ""
) -> IssuedPlatformKey:
    """Issue a platform key's successor, as :func:`accounts.services.keys.rotate` does a tenant's.

    Raises:
        kernel.errors.Invalid: a grace out of range.
        kernel.errors.NotFound: no such key.
        kernel.errors.Conflict: it is active no more, or rotated already (``key_not_active``).
        kernel.errors.Forbidden: a permission of the key that the caller lacks.
    """
    rotating.check_grace(grace)
    with audited():
        key, now = queries.platform_keys.by_id(key_id, lock=True), timezone.now()
        rotating.prepare(key, now)
        minted = rotating.minted_for(key, format_of_keys.PLATFORM)
        successor = PlatformKey(**rotating.inherited(key, minted, now))
        before, end = key.expires_at, min(key.expires_at, now + grace)
        key.rotated_at, key.expires_at = now, end
        key.save(update_fields=["rotated_at", "expires_at"])
        successor.save(force_insert=True)
        rotating.project(key, successor, minted, end)
        record(
            action=PLATFORM_KEY_ROTATED.name,
            target_type="platform_key",
            target_id=key.shown_id,
            before={"expires_at": before},
            after=rotating.told_of(successor, end),
            more_targets=[Target("platform_key", successor.shown_id)],
            reason=reason,
        )
    return IssuedPlatformKey(successor, minted.text)


def revoke(key_id: UUID, *, reason: str = "") -> PlatformKey:
    """End a platform key for good; a revoked one stays so, unrecorded.

    Raises:
        kernel.errors.NotFound: no such key.
    """
    with audited():
        key = queries.platform_keys.by_id(key_id, lock=True)
        if key.revoked_at is not None:
            return key
        key.revoked_at = timezone.now()
        key.save(update_fields=["revoked_at"])
        projection.set_credential_status(key.id, "revoked")
        record(
            action=PLATFORM_KEY_REVOKED.name,
            target_type="platform_key",
            target_id=key.shown_id,
            before={"status": "active"},
            after={"status": "revoked"},
            reason=reason,
        )
    return key
