"""Which months of the ledger have outlived the time that plans keep them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

from django.conf import settings

from kernel import db, ports
from kernel.tenancy import across_tenants

_PREFIX: Final = "billing_usage_event_"
_PARTITIONS: Final = """
SELECT c.relname FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid
WHERE inhparent = 'billing_usage_event'::regclass AND c.relname ~ '^billing_usage_event_[0-9]{6}$'
ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Step:
    """What is due of one month: all of it, or the events of some tenants (None: of no tenant)."""

    month: date
    partition: str
    tenants: tuple[UUID | None, ...]
    whole: bool


def due(today: date, months: Sequence[date] | None = None) -> list[Step]:
    """List what is over, oldest first; ``months`` narrows it. Reads the catalogue as the owner."""
    steps = []
    with db.use_alias("owner"):
        for month, partition in _partitions():
            if months is None or month in months:
                step = _due(today, month, partition)
                if step is not None:
                    steps.append(step)
    return steps


def kept_for(plan: str | None) -> int:
    """Tell for how many whole months after its own a month stays; without a plan, the longest."""
    retention = _retention()
    return retention.get(plan or "", max(retention.values()))


def _partitions() -> Iterator[tuple[date, str]]:
    """List the months that are partitions."""
    with db.cursor() as cursor:
        cursor.execute(_PARTITIONS)
        names = [str(row[0]) for row in cursor.fetchall()]
    for name in names:
        digits = name.removeprefix(_PREFIX)
        yield date(int(digits[:4]), int(digits[4:]), 1), name


def _due(today: date, month: date, partition: str) -> Step | None:
    if _age(today, month) <= min(_retention().values()):
        return None
    present = _tenants(partition)
    with db.use_alias("staff"), across_tenants():
        plans = ports.plans().keys_of([tenant for tenant in present if tenant is not None])
    over = tuple(
        tenant
        for tenant in present
        if _age(today, month) > kept_for(plans.get(tenant) if tenant else None)
    )
    whole = len(over) == len(present) and _age(today, month) > max(_retention().values())
    return Step(month, partition, over, whole) if over or whole else None


def _retention() -> dict[str, int]:
    found: dict[str, int] = settings.INNKEEPER_USAGE_RETENTION
    return found


def _age(today: date, month: date) -> int:
    """Count the whole months between a month's end and today."""
    return (today.year - month.year) * 12 + today.month - month.month


def _tenants(partition: str) -> list[UUID | None]:
    with db.cursor() as cursor:
        cursor.execute(f'SELECT DISTINCT tenant_id FROM "{partition}" ORDER BY 1')  # noqa: S608 - from the catalogue
        return [row[0] for row in cursor.fetchall()]
