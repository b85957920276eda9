"""Quotas of metered entitlements, as the gate enforces them: kernel/sql/quota.sql and burn.sql.

Each function runs on the current alias (:mod:`kernel.db`) in the caller's transaction. Under the
app role PostgreSQL refuses any tenant but the connection's.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from kernel import db
from kernel.gate.wire import HotConnection, Row, Statement

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STANDING: Final = Statement(
    "gate_quota_standing",
    "SELECT feature_key, (extract(epoch FROM window_start) * 1000000)::bigint,"
    " (extract(epoch FROM window_end) * 1000000)::bigint, used, reserved, hard_limit,"
    " available, balance, overage, grants"
    " FROM gate.quota_standing($1::uuid, $2, NULL, $3::timestamptz)",
    parameters=3,
)
_RETURNS: Final = Statement(
    "gate_access_returns",
    "SELECT (extract(epoch FROM gate.access_returns($1::uuid, $2, $3::timestamptz))"
    " * 1000000)::bigint",
    parameters=3,
)
_REQUESTS: Final = Statement(
    "gate_requests_today", "SELECT gate.requests_today($1::uuid)", parameters=1
)
_SINCE: Final = Statement(
    "gate_requests_since", "SELECT gate.requests_since($1::uuid, $2::bigint)", parameters=2
)
_BUCKET_S: Final = 900


@dataclass(frozen=True, slots=True)
class Standing:
    """How a quota stands: used, held by reservations, and its hard limit (None: none).

    Where it burns grants: what they grant and leave together, the use that none covers, and what
    each leaves, by grant. None where it does not, or where nothing is bounded.
    """

    feature: str
    start: datetime
    end: datetime
    used: Decimal
    reserved: Decimal
    hard_limit: Decimal | None
    available: Decimal | None = None
    balance: Decimal | None = None
    overage: Decimal | None = None
    grants: Mapping[str, Decimal] | None = None

    @property
    def remaining(self) -> Decimal | None:
        """Give what a guarded use may still take; None without a limit."""
        if self.hard_limit is None:
            return None
        return max(self.hard_limit - self.used - self.reserved, Decimal(0))


@dataclass(frozen=True, slots=True)
class Check:
    """What a check under lock found; ``standing`` is the tightest quota, None without any.

    A use that follows belongs to the instant ``at``.
    """

    exceeded: bool
    at: datetime
    standing: Standing | None


@dataclass(frozen=True, slots=True)
class EndedHold:
    """What became of a hold. ``ended`` tells whether the call ended it as it asked."""

    ended: bool
    state: str
    feature: str
    meter: str
    at: datetime
    quantity: Decimal


def check(
    tenant_id: UUID,
    meter: str,
    quantity: Decimal,
    at: datetime | None = None,
    *,
    feature: str | None = None,
) -> Check:
    """Lock the meter's quotas and tell whether ``quantity`` more exceeds one that guards it.

    A use of ``feature`` is guarded by its own quota and by those of all features that are granted;
    use of the meter itself (None) by the latter. Until the transaction ends nobody else can decide
    on these quotas: the caller records the use in the same transaction. Without a quota nothing is
    exceeded.
    """
    ((exceeded, checked_at, *row),) = db.rows(
        "SELECT exceeded, at, feature_key, window_start, window_end, used, reserved, hard_limit"
        " FROM gate.check_quota($1, $2, $3, $4, $5::text)",
        [tenant_id, meter, quantity, at, feature],
    )
    return Check(exceeded, checked_at, Standing(*row) if row[0] is not None else None)


def access_returns(
    tenant_id: UUID, feature: str, at: datetime, *, connection: HotConnection | None = None
) -> datetime | None:
    """Tell when more of a feature may be used than at ``at``; None: by nothing that is known.

    ``connection`` None reads on Django's connection of the current alias.
    """
    if connection is not None:
        values = [_bytes(tenant_id), _bytes(feature), _bytes(at)]
        (text,) = connection.row(_RETURNS, values)
        return None if text is None else _EPOCH + timedelta(microseconds=int(text))
    ((found,),) = db.rows(
        "SELECT gate.access_returns($1::uuid, $2::text, $3::timestamptz)", [tenant_id, feature, at]
    )
    returns: datetime | None = found
    return returns


def hold(
    tenant_id: UUID,
    hold_id: UUID,
    *,
    feature: str,
    meter: str,
    at: datetime,
    quantity: Decimal,
    ttl: timedelta,
) -> datetime:
    """Hold what :func:`check` has found to fit, in the same transaction; give the expiry."""
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT expires_at FROM gate.put_hold(%s, %s, %s, %s, %s, %s,"
            " make_interval(secs => %s))",
            [tenant_id, hold_id, feature, meter, at, quantity, ttl.total_seconds()],
        )
        expires_at: datetime = cursor.fetchone()[0]
    return expires_at


def end_hold(tenant_id: UUID, hold_id: UUID, state: str) -> EndedHold | None:
    """End a hold as committed or released, and free what it held; None for an unknown one.

    Locks the quotas that it belongs to, as :func:`check` does.
    """
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT ended, state, feature, meter, at, quantity FROM gate.end_hold(%s, %s, %s)",
            [tenant_id, hold_id, state],
        )
        row = cursor.fetchone()
    return EndedHold(*row) if row[1] is not None else None


def standings(
    tenant_id: UUID,
    at: datetime,
    *,
    feature: str | None = None,
    connection: HotConnection | None = None,
) -> dict[str, Standing]:
    """Read how the tenant's quotas stand in the periods that contain ``at``, by feature.

    Without a lock. ``connection`` None reads on Django's connection of the current alias.
    """
    if connection is not None:
        values = [_bytes(tenant_id), _bytes(feature), _bytes(at)]
        rows = [_standing(row) for row in connection.rows(_STANDING, values)]
    else:
        with db.cursor() as cursor:
            cursor.execute(
                "SELECT feature_key, window_start, window_end, used, reserved, hard_limit,"
                " available, balance, overage, grants::text"
                " FROM gate.quota_standing(%s, %s, NULL, %s)",
                [tenant_id, feature, at],
            )
            rows = [_read(row) for row in cursor.fetchall()]
    return {one.feature: one for one in rows}


def standings_of(tenant_ids: Sequence[UUID], at: datetime) -> dict[UUID, dict[str, Standing]]:
    """Read how the quotas of many tenants stand, by tenant and feature, in one statement."""
    found: dict[UUID, dict[str, Standing]] = {}
    rows = db.rows(
        "SELECT tenant_id, feature_key, window_start::text, window_end::text, used, reserved,"
        " hard_limit, available, balance, overage, grants::text"
        " FROM gate.quota_standings($1::uuid[], $2)",
        [list(tenant_ids), at],
    )
    for tenant_id, feature, start, end, *amounts in rows:
        period = _instant(start), _instant(end)
        found.setdefault(tenant_id, {})[feature] = _read((feature, *period, *amounts))
    return found


def requests_of(tenant_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Read the counters that admit the requests of many tenants on this UTC day."""
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT t, coalesce(gate.requests_today(t), 0) FROM unnest(%s::uuid[]) AS t",
            [list(tenant_ids)],
        )
        return dict(cursor.fetchall())


def requests_since(
    tenant_ids: Sequence[UUID], start: datetime, *, connection: HotConnection | None = None
) -> dict[UUID, int]:
    """Count the admitted requests of tenants since the start of a 15-minute bucket.

    On a hot connection for one tenant.
    """
    bucket = int(start.timestamp()) // _BUCKET_S
    if connection is not None:
        (tenant_id,) = tenant_ids
        row = connection.row(_SINCE, [_bytes(tenant_id), _bytes(bucket)])
        return {tenant_id: int(row[0] or 0)}
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT t, gate.requests_since(t, %s) FROM unnest(%s::uuid[]) AS t",
            [bucket, list(tenant_ids)],
        )
        return dict(cursor.fetchall())


def requests_today(tenant_id: UUID, *, connection: HotConnection | None = None) -> int:
    """Read the counter that admits the tenant's requests of this UTC day."""
    if connection is not None:
        return int(connection.row(_REQUESTS, [_bytes(tenant_id)])[0] or 0)
    with db.cursor() as cursor:
        cursor.execute("SELECT gate.requests_today(%s)", [tenant_id])
        return int(cursor.fetchone()[0] or 0)


def tenants_running_out(before: datetime) -> list[UUID]:
    """List the tenants with a quota whose last open window ends before an instant. For staff."""
    with db.cursor() as cursor:
        cursor.execute("SELECT * FROM gate.tenants_running_out(%s)", [before])
        return [row[0] for row in cursor.fetchall()]


def forget(before: datetime) -> int:
    """Delete what ended before an instant; give the number of windows. For staff."""
    with db.cursor() as cursor:
        cursor.execute("SELECT gate.forget_quotas(%s)", [before])
        return int(cursor.fetchone()[0])


def _read(row: tuple[Any, ...]) -> Standing:
    feature, start, end, used, reserved, limit, available, balance, overage, grants = row
    left = available, balance, overage
    return Standing(feature, start, end, used, reserved, limit, *left, _balances(grants))


@lru_cache(maxsize=1024)
def _instant(text: str) -> datetime:
    """Read an instant as PostgreSQL writes it; thousands of windows have few different ends."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _standing(row: Row) -> Standing:
    feature, start, end, used, reserved, limit, available, balance, overage, grants = (
        None if value is None else value.decode() for value in row
    )
    return Standing(
        feature or "",
        _EPOCH + timedelta(microseconds=int(start or 0)),
        _EPOCH + timedelta(microseconds=int(end or 0)),
        Decimal(used or 0),
        Decimal(reserved or 0),
        _decimal(limit),
        _decimal(available),
        _decimal(balance),
        _decimal(overage),
        _balances(grants),
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _balances(grants: str | None) -> Mapping[str, Decimal] | None:
    """Read balances by grant: PostgreSQL writes exact numbers, so no float may read them."""
    return None if grants is None else json.loads(grants, parse_float=Decimal, parse_int=Decimal)


def _bytes(value: object) -> bytes | None:
    return None if value is None else str(value).encode()
