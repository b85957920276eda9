"""Rotating a key of either kind: what its successor has, and until when both work."""

from datetime import datetime, timedelta
from typing import Any, Final

from accounts.models.keys import Credential
from accounts.services.granting import require_ceiling
from accounts.services.issuing import told
from kernel.authz import current_principal
from kernel.errors import Conflict, Invalid
from kernel.gate import keys as format_of_keys
from kernel.gate import projection
from kernel.gate.keys import MintedKey

DEFAULT_GRACE: Final = timedelta(days=1)
MAX_GRACE: Final = timedelta(days=7)


def check_grace(grace: timedelta) -> None:
    """Look whether an overlap is one that may be asked for.

    Raises:
        kernel.errors.Invalid: it is negative or longer than :data:`MAX_GRACE`.
    """
    if not timedelta(0) <= grace <= MAX_GRACE:
        seconds = int(MAX_GRACE.total_seconds())
        raise Invalid(f"grace_seconds is 0 to {seconds}.", pointer="/grace_seconds")


def minted_for(key: Credential, kind: str) -> MintedKey:
    """Make the successor's text, of the same kind and environment."""
    return format_of_keys.mint(kind, test="_test" in key.prefix)


def prepare(key: Credential, now: datetime) -> None:
    """Look whether a locked key may be rotated by the caller.

    Who rotates a key learns a secret with its permissions, as who creates one.

    Raises:
        kernel.errors.Conflict: it is revoked, expired or rotated already (``key_not_active``).
        kernel.errors.Forbidden: the caller lacks one of its permissions (``permission_ceiling``).
    """
    if key.status_at(now) != "active" or key.rotated_at is not None:
        raise Conflict(
            "Only an active key that was not rotated yet can be rotated.", code="key_not_active"
        )
    require_ceiling(key.permissions, "")


def inherited(key: Credential, minted: MintedKey, now: datetime) -> dict[str, Any]:
    """Give the columns of a successor: its predecessor's, and another life of the same length."""
    principal = current_principal()
    return {
        "name": key.name,
        "public_id": minted.public_id,
        "prefix": minted.prefix,
        "lineage": key.lineage,
        "permissions": key.permissions,
        "cidrs": key.cidrs,
        "environment": key.environment,
        "expires_at": now + (key.expires_at - key.created_at),
        "created_at": now,
        "created_by_kind": principal.kind,
        "created_by_id": principal.id,
        "rotated_from": key.pk,
    }


def project(key: Credential, successor: Credential, minted: MintedKey, end: datetime) -> None:
    """Tell the gate of both.

    Raises:
        kernel.errors.Conflict: the gate ended the key first (``key_not_active``).
    """
    known = projection.rotate_credential(
        minted,
        key_id=key.pk,
        ends_at=end,
        successor_id=successor.pk,
        expires_at=successor.expires_at,
    )
    if not known:
        raise Conflict("The key has ended meanwhile.", code="key_not_active")


def told_of(successor: Credential, end: datetime) -> dict[str, Any]:
    """Give what the audit log says about a rotated key after the rotation."""
    return {"expires_at": end, "successor": {"id": successor.shown_id, **told(successor)}}
