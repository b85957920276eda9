"""Issuing, rotating and revoking the keys of the tenant of the context."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from accounts import queries
from accounts.actions import KEY_CREATED, KEY_REVOKED, KEY_ROTATED
from accounts.events import KeyCreated, KeyRevoked, KeyRotated
from accounts.models import ApiKey, Environment
from accounts.permissions import DEFAULT_KEY_PERMISSIONS
from accounts.services import rotating
from accounts.services.granting import require_ceiling, within_ceiling
from accounts.services.issuing import NewKey, drafted, told
from audit.services import Target, audited, record
from kernel.errors import Forbidden
from kernel.events import emit
from kernel.gate import keys as format_of_keys
from kernel.gate import projection
from kernel.gate.keys import MintedKey
from kernel.gate.projection import Burst
from kernel.tenancy import current_tenant
from kernel.tenancy.direct import Direct

_ROWS: Final = Direct(ApiKey)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key: ``text`` is the key itself, shown once and stored nowhere."""

    key: ApiKey
    text: str


def create(new: NewKey) -> IssuedKey:
    """Issue a key of the tenant; it is admitted from the next request on.

    Raises:
        kernel.errors.Invalid: a fault of form.
        kernel.errors.Forbidden: a permission that the caller lacks (``permission_ceiling``), or
            none left of the default set.
    """
    new.check(timezone.now())
    permissions = grants_of(new)
    minted = format_of_keys.mint(format_of_keys.TENANT, test=new.environment == Environment.TEST)
    key = ApiKey(tenant_id=current_tenant(), **drafted(new, minted, permissions))
    _take_limits(key, new)
    with audited():
        _ROWS.insert(key)
        _project(key, minted, new)
        _tell_created(key)
    return IssuedKey(key, minted.text)


def grants_of(new: NewKey) -> tuple[str, ...]:
    """Settle what the key may do: what was asked for, within what the creator may.

    Raises:
        kernel.errors.Forbidden: beyond the creator's own, or nothing is left of the default.
    """
    if new.permissions is not None:
        names = tuple(dict.fromkeys(new.permissions))
        require_ceiling(names, "/permissions")
        return names
    names = within_ceiling(DEFAULT_KEY_PERMISSIONS)
    if not names:
        raise Forbidden(
            "You have none of the permissions that a key gets by default; name some.",
            code="permission_ceiling",
        )
    return names


def rotate(
    key_id: UUID, *, grace: timedelta = rotating.DEFAULT_GRACE, reason: str = ""
) -> IssuedKey:
    """Issue a key's successor: another secret and id, all else the same, the limits' use included.

    The key itself works beside it for ``grace`` and then never again; none: it ends now. The
    successor lives as long from now as the key was given when it was made.

    Raises:
        kernel.errors.Invalid: a grace out of range.
        kernel.errors.NotFound: no such key of this tenant.
        kernel.errors.Conflict: it is active no more, or rotated already (``key_not_active``).
        kernel.errors.Forbidden: a permission of the key that the caller lacks.
    """
    rotating.check_grace(grace)
    with audited():
        key, now = queries.keys.locked(key_id), timezone.now()
        rotating.prepare(key, now)
        minted = rotating.minted_for(key, format_of_keys.TENANT)
        successor = _successor(key, rotating.inherited(key, minted, now))
        end = min(key.expires_at, now + grace)
        _ROWS.update(
            "rotated_at = $1::timestamptz, expires_at = $2::timestamptz",
            "id = $3::uuid",
            [now, end, key.id],
        )
        _ROWS.insert(successor)
        rotating.project(key, successor, minted, end)
        _tell_rotated(key, successor, end, reason)
    return IssuedKey(successor, minted.text)


def revoke(key_id: UUID, *, reason: str = "") -> ApiKey:
    """End a key of the tenant for good: refused from the next request on.

    A key that is revoked already stays so, and nothing is recorded.

    Raises:
        kernel.errors.NotFound: no such key of this tenant.
    """
    with audited():
        changed = _ROWS.update(
            "revoked_at = $1::timestamptz",
            "id = $2::uuid AND revoked_at IS NULL",
            [timezone.now(), key_id],
            also="gate.set_credential_status(id, 'revoked')",
        )
        if not changed:  # revoked before, or none of this tenant's
            return queries.keys.by_id(key_id)
        (key,) = changed
        record(
            action=KEY_REVOKED.name,
            target_type="key",
            target_id=key.shown_id,
            before={"status": "active"},
            after={"status": "revoked"},
            tenant_id=key.tenant_id,
            reason=reason,
        )
        emit(KeyRevoked(tenant_id=key.tenant_id, key=key.shown_id, title=key.name))
    return key


def _successor(key: ApiKey, columns: dict[str, Any]) -> ApiKey:
    return ApiKey(
        **columns,
        tenant_id=key.tenant_id,
        daily_inherits=key.daily_inherits,
        daily_limit=key.daily_limit,
        burst_inherits=key.burst_inherits,
        burst_rate=key.burst_rate,
        burst_depth=key.burst_depth,
    )


def _take_limits(key: ApiKey, new: NewKey) -> None:
    key.daily_inherits = new.daily is None
    if new.daily is not None and isinstance(new.daily.value, int):
        key.daily_limit = new.daily.value
    key.burst_inherits = new.burst is None
    if new.burst is not None and isinstance(new.burst.value, Burst):
        key.burst_rate, key.burst_depth = new.burst.value.rate, new.burst.value.depth


def _project(key: ApiKey, minted: MintedKey, new: NewKey) -> None:
    projection.put_credential(
        minted,
        key_id=key.id,
        lineage=key.lineage,
        tenant_id=key.tenant_id,
        permissions=key.permissions,
        cidrs=key.cidrs,
        expires_at=key.expires_at,
        daily=new.daily,
        burst=new.burst,
    )


def _tell_created(key: ApiKey) -> None:
    record(
        action=KEY_CREATED.name,
        target_type="key",
        target_id=key.shown_id,
        after={
            **told(key),
            "daily": None if key.daily_inherits else {"limit": key.daily_limit},
            "burst": None
            if key.burst_inherits
            else {"rate": key.burst_rate, "depth": key.burst_depth},
        },
        tenant_id=key.tenant_id,
    )
    emit(KeyCreated(tenant_id=key.tenant_id, key=key.shown_id, title=key.name))


def _tell_rotated(key: ApiKey, successor: ApiKey, end: datetime, reason: str) -> None:
    record(
        action=KEY_ROTATED.name,
        target_type="key",
        target_id=key.shown_id,
        before={"expires_at": key.expires_at},
        after=rotating.told_of(successor, end),
        more_targets=[Target("key", successor.shown_id)],
        tenant_id=key.tenant_id,
        reason=reason,
    )
    emit(
        KeyRotated(
            tenant_id=key.tenant_id,
            key=key.shown_id,
            successor=successor.shown_id,
            ends_at=end.isoformat(),
            title=key.name,
        )
    )
