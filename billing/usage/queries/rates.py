"""How fast meters are used now: the last hour's roll-ups, of many tenants at once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final
from uuid import UUID

from billing.usage.models import OPERATOR
from billing.usage.queries.sources import BUCKET
from kernel import db
from kernel.gate import quota
from kernel.gate.wire import HotConnection, Statement

_BUCKETS: Final = 4
"""The running quarter of an hour and the three before it."""
_HOUR: Final = Decimal(3600)
_USED: Final = """
SELECT r.tenant_id, m.slug,
       sum(CASE m.aggregation WHEN 'COUNT' THEN r.count ELSE coalesce(r.total, 0) END)
  FROM billing_meter m JOIN billing_usage_rollup r ON r.meter_id = m.id
 WHERE m.scope = {scope} AND m.slug = ANY ({slugs}) AND m.deleted_at IS NULL
   AND r.tenant_id = ANY ({tenants}) AND r.bucket >= {since}
 GROUP BY r.tenant_id, m.slug
"""
_HOT: Final = Statement(
    "billing_used_lately",
    _USED.format(
        scope=f"'{OPERATOR}'",
        slugs="$2::text[]",
        tenants="ARRAY[$1::uuid]",
        since="$3::timestamptz",
    ),
    parameters=3,
)
REQUESTS: Final = "api_requests"
"""The slug of the meter that the gate itself counts."""


def since(at: datetime) -> datetime:
    """Give where the last hour's buckets begin: 45 to 60 minutes before ``at``."""
    epoch = at.timestamp()
    width = BUCKET / timedelta(seconds=1)
    return at - timedelta(seconds=epoch % width + (_BUCKETS - 1) * width)


def per_hour(used: Decimal, at: datetime) -> Decimal:
    """Turn what was used since the last hour's buckets began into a rate.

    It is the same wherever a period has begun meanwhile: what was used before that is in it.
    """
    return used * _HOUR / _elapsed(at)


@lru_cache(maxsize=64)
def _elapsed(at: datetime) -> Decimal:
    """Give the seconds since the last hour's buckets began."""
    return Decimal((at - since(at)) / timedelta(seconds=1))


def used_in_the_last_hour(
    tenant_ids: Sequence[UUID],
    slugs: Sequence[str],
    at: datetime,
    connection: HotConnection | None = None,
) -> dict[tuple[UUID, str], Decimal]:
    """Sum up the use of the operator's meters by tenant and slug; nothing used has no entry.

    On a hot connection for one tenant.
    """
    if connection is not None:
        (tenant_id,) = tenant_ids
        values = [str(tenant_id), "{" + ",".join(slugs) + "}", str(since(at))]
        rows = connection.rows(_HOT, [value.encode() for value in values])
        return {
            (tenant_id, slug.decode()): Decimal(used.decode())
            for _, slug, used in rows
            if slug is not None and used is not None
        }
    statement = _USED.format(scope="%s", slugs="%s", tenants="%s", since="%s")
    with db.cursor() as cursor:
        cursor.execute(statement, [OPERATOR, list(slugs), list(tenant_ids), since(at)])
        return {(whose, slug): used for whose, slug, used in cursor.fetchall()}


def requests_in_the_last_hour(
    tenant_ids: Sequence[UUID], at: datetime, connection: HotConnection | None = None
) -> dict[tuple[UUID, str], Decimal]:
    """Sum up admitted requests by tenant, under the slug of the gate's own meter."""
    found = quota.requests_since(tenant_ids, since(at), connection=connection)
    return {(whose, REQUESTS): Decimal(used) for whose, used in found.items()}
