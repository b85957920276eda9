"""Projections: apps write what the gate must know, in the transaction of their own change.

Each function runs on the current alias (:mod:`kernel.db`). Under the app role PostgreSQL refuses
to touch another tenant than the connection's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from kernel import db
from kernel.gate.keys import MintedKey, macs
from kernel.gate.peppers import newest

_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Burst:
    """A burst limit: ``rate`` requests a second on average, ``depth`` at once."""

    rate: int
    depth: int

    @property
    def interval_us(self) -> int:
        """Give the emission interval in microseconds."""
        return _US // self.rate


@dataclass(frozen=True, slots=True)
class Override:
    """A key's own limit in place of the plan's; ``value`` None lifts it."""

    value: int | Burst | None


def put_tenant(tenant_id: UUID, status: str) -> None:
    """Tell the gate of a tenant, or of its new status: active, suspended or closed."""
    _call("SELECT gate.put_tenant($1, $2)", tenant_id, status)


def put_limits(
    tenant_id: UUID, *, daily: int | None, burst: Burst | None, features: Sequence[str]
) -> None:
    """Set what the plan grants: daily requests, burst, boolean features. None is unlimited."""
    interval, depth = (burst.interval_us, burst.depth) if burst else (None, None)
    _call(
        "SELECT gate.put_limits($1, $2, $3, $4, $5::text[])",
        tenant_id, daily, interval, depth, list(features),
    )  # fmt: skip


def put_credential(
    minted: MintedKey,
    *,
    key_id: UUID,
    lineage: UUID,
    tenant_id: UUID | None,
    permissions: Sequence[str],
    cidrs: Sequence[str] = (),
    expires_at: datetime | None = None,
    daily: Override | None = None,
    burst: Override | None = None,
) -> None:
    """Make a minted key known. ``daily`` and ``burst`` None inherit the plan's limits."""
    own_burst = burst.value if burst else None
    interval, depth = (
        (own_burst.interval_us, own_burst.depth) if isinstance(own_burst, Burst) else (None, None)
    )
    _, pepper = newest()
    _call(
        "SELECT gate.put_credential($1, $2, $3, $4, $5, $6, $7::text[], $8::inet[], $9,"
        " $10, $11, $12, $13, $14)",
        minted.public_id, key_id, lineage, "tenant" if tenant_id else "platform", tenant_id,
        macs(minted.secret, {0: pepper})[0], list(permissions), list(cidrs), expires_at,
        daily is None, daily.value if daily else None, burst is None, interval, depth,
    )  # fmt: skip


def rotate_credential(
    minted: MintedKey, *, key_id: UUID, ends_at: datetime, successor_id: UUID, expires_at: datetime
) -> bool:
    """Make the successor of a key known, and let the key itself end at ``ends_at`` at the latest.

    The successor has all of its predecessor but secret, id and expiry; its requests go on counting
    where those of the predecessor do. False, and nothing done, where that is active no more.
    """
    _, pepper = newest()
    mac = macs(minted.secret, {0: pepper})[0]
    return bool(
        _call(
            "SELECT gate.rotate_credential($1, $2, $3, $4, $5, $6)",
            key_id, ends_at, minted.public_id, successor_id, mac, expires_at,
        )
    )  # fmt: skip


def set_credential_status(key_id: UUID, status: str) -> bool:
    """Set a key active, disabled or revoked (which is final); tell whether anything changed."""
    return bool(_call("SELECT gate.set_credential_status($1, $2)", key_id, status))


def last_used(key_ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """Say when keys were last admitted (UTC); keys that never were are absent."""
    return dict(db.rows("SELECT key_id, at FROM gate.last_used($1::uuid[])", [list(key_ids)]))


def requests(from_bucket: int, to_bucket: int) -> list[tuple[UUID, int, int]]:
    """List (subject, 15-minute bucket number, admitted requests) of the connection's tenant.

    Bucket numbers are Unix seconds // 900; the range is half-open. The row whose subject is the
    tenant itself is the total; the others are its keys.
    """
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT subject, bucket_id, used FROM gate.requests(%s, %s)", [from_bucket, to_bucket]
        )
        return list(cursor.fetchall())


def _call(sql: str, *values: Any) -> Any:
    found = db.rows(sql, values)
    return found[0][0] if found else None
