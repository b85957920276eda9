"""Alarms: hearing that use came near a level; kernel/sql/alarms.sql says how.

The database tells :class:`QuotaDue` in the transaction that took use past a share of the way. Its
consumer locks and reads what is used, decides, and arms again, in one transaction as staff.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import orjson

from kernel import db
from kernel.events import DomainEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaDue(DomainEvent):
    """Use may have crossed a level: look at it.

    ``feature`` and ``start`` name a quota window; ``day`` (days since the epoch) and ``used`` tell
    of the tenant's requests; with none of them every level of the tenant may have moved.
    """

    name: ClassVar[str] = "quota.due"

    feature: str | None = None
    start: str | None = None
    day: int | None = None
    used: int | None = None
    tenant_id: UUID


def lock_use(tenant_id: UUID, feature: str, period: tuple[datetime, datetime]) -> bool:
    """Hold all slots of a quota's period until the transaction ends.

    The next statement sees all that the slots hold. False: somebody writes for long.
    """
    return bool(_value("SELECT gate.lock_use(%s, %s, %s, %s)", tenant_id, feature, *period))


def arm_use(
    tenant_id: UUID,
    feature: str,
    period: tuple[datetime, datetime],
    at: datetime,
    room: Decimal | None,
) -> None:
    """Be told before the locked slots have grown by ``room`` from ``at`` on; None: never again."""
    _value("SELECT gate.arm_use(%s, %s, %s, %s, %s, %s)", tenant_id, feature, *period, at, room)


def arm_requests(tenant_id: UUID, thresholds: Sequence[int]) -> tuple[int, int]:
    """Watch a tenant's requests at percentages of its daily limit; give the day and its use."""
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT day, used FROM gate.arm_requests(%s, %s::smallint[])",
            [tenant_id, list(thresholds)],
        )
        day, used = cursor.fetchone()
    return int(day), int(used or 0)


def look_again(tenant_id: UUID, feature: str, start: datetime, after: timedelta) -> None:
    """Tell of a window once more, some time after the open transaction has committed."""
    payload = orjson.dumps({"feature": feature, "start": start}).decode()
    _value("SELECT gate.tell_due(%s, %s::jsonb, %s)", tenant_id, payload, after)


def apply_due() -> int:
    """Bring planned changes into force for tenants that nobody asks about; give how many."""
    return int(_value("SELECT gate.apply_due()"))


def _value(sql: str, *values: Any) -> Any:
    with db.cursor() as cursor:
        cursor.execute(sql, list(values))
        return cursor.fetchone()[0]
