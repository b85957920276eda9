"""Requests by key, from the gate's own record: the numbers that are limited and billed."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from billing.usage.queries.current import Period
from billing.usage.queries.sources import BUCKET
from kernel import db

# One read of the record: the total is kept beside the keys, under the tenant itself.
_BY_KEY: Final = """
SELECT subject, sum(used)
FROM gate.requests($1, $2) GROUP BY subject ORDER BY 2 DESC, 1
"""


@dataclass(frozen=True, slots=True)
class KeyUse:
    """One key's admitted requests."""

    key_id: UUID
    requests: int


@dataclass(frozen=True, slots=True)
class Requests:
    """All requests of a tenant, and those of each key, the busiest first."""

    total: int
    keys: list[KeyUse]


def requests_by_key(tenant_id: UUID, period: Period) -> Requests:
    """Count a tenant's admitted requests in a period, outward to whole quarter hours."""
    width = round(BUCKET.total_seconds())
    first = int(period.start.timestamp()) // width
    last = -(-int(period.end.timestamp()) // width)
    total, keys = 0, []
    for subject, used in db.rows(_BY_KEY, [first, last]):
        if subject == tenant_id:
            total = int(used)
        else:
            keys.append(KeyUse(subject, int(used)))
    return Requests(total, keys)
