"""Grants as quotas burn them down: kernel/sql/burn.sql.

A quota that burns is cut into segments wherever its grants change; what they leave is computed from
what was counted in each. Functions run as those of :mod:`kernel.gate.quota`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from itertools import compress
from typing import Any
from uuid import UUID

from kernel import db


class Reset(IntEnum):
    """Whether a segment starts a usage period, and what becomes of overage then."""

    NONE = 0
    DROP = 1
    KEEP = 2


@dataclass(frozen=True, slots=True)
class Segment:
    """What a window says besides where its quota burns grants.

    ``issued`` is what the usage period [start, end) itself grants (None: without bound, or nothing
    if there is a hard limit); ``recurs`` are the grants that start at their amount in it.
    """

    issued: Decimal | None
    start: datetime
    end: datetime
    reset: Reset = Reset.NONE
    recurs: tuple[UUID, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Give what gate.put_quotas reads of it."""
        return {
            "burns": True,
            "issued": text(self.issued),
            "period_from": self.start,
            "period_to": self.end,
            "reset": self.reset.value,
            "recurs": "{" + ",".join(str(one) for one in self.recurs) + "}",
        }


@dataclass(frozen=True, slots=True)
class BurnGrant:
    """A grant of [start, end), without end if None, as it burns down.

    ``amount`` None is what the usage period itself grants. After a reset its balance lies between
    ``minimum`` and ``maximum``. ``base`` is its balance where the first segment starts.
    """

    id: UUID
    amount: Decimal | None
    start: datetime
    end: datetime | None = None
    minimum: Decimal = Decimal(0)
    maximum: Decimal = Decimal(0)
    base: Decimal = Decimal(0)

    def as_json(self) -> dict[str, Any]:
        """Give what gate.put_burns reads of it."""
        return {
            "id": str(self.id),
            "amount": text(self.amount),
            "from": self.start,
            "to": self.end or "infinity",
            "minimum": text(self.minimum),
            "maximum": text(self.maximum),
            "base": text(self.base),
        }


@dataclass(frozen=True, slots=True)
class Burn:
    """The grants of a feature in burn order, and where their segments start from."""

    feature: str
    meter: str
    stream: UUID
    base_at: datetime
    base_overage: Decimal
    grants: tuple[BurnGrant, ...]

    def as_json(self) -> dict[str, Any]:
        """Give what gate.put_burns reads of it."""
        return {
            "feature": self.feature,
            "meter": self.meter,
            "stream": str(self.stream),
            "base_at": self.base_at,
            "base_overage": text(self.base_overage),
            "grants": [grant.as_json() for grant in self.grants],
        }


@dataclass(frozen=True, slots=True)
class Base:
    """Where the segments of a feature start from: balances by grant, and the overage."""

    stream: UUID
    at: datetime
    overage: Decimal
    balances: Mapping[UUID, Decimal]


@dataclass(frozen=True, slots=True)
class Burnt:
    """One segment [start, end) of a quota that burns, in the usage period that it belongs to.

    ``opening`` and ``closing`` are the balances by grant of those that were active, in burn order;
    ``owed`` is what was uncovered before and still is, ``overage`` what is at the end.
    """

    start: datetime
    end: datetime
    period: tuple[datetime, datetime]
    used: Decimal
    opening: Mapping[UUID, Decimal]
    owed: Decimal
    closing: Mapping[UUID, Decimal]
    overage: Decimal


def bases(tenant_id: UUID) -> dict[str, Base]:
    """Read where the segments of the tenant's features start from, by feature."""
    rows = db.rows(
        "SELECT feature_key, stream, base_at, base_overage, ids, base FROM gate.burns($1)",
        [tenant_id],
    )
    return {
        feature: Base(stream, at, overage, dict(zip(ids, balances, strict=True)))
        for feature, stream, at, overage, ids, balances in rows
    }


def burnt(tenant_id: UUID, feature: str, until: datetime) -> list[Burnt]:
    """Read the segments of a quota that burns, from its base to the one that contains ``until``."""
    rows = db.rows(
        "SELECT segment_start, segment_end, period_start, period_end, used, opening, owed,"
        " closing, overage, ids, active FROM gate.burn_history($1, $2, $3)",
        [tenant_id, feature, until],
    )
    return [_burnt(row) for row in rows]


def text(amount: Decimal | None) -> str | None:
    """Write an exact amount without an exponent; None stays None."""
    return None if amount is None else f"{amount:f}"


def _burnt(row: tuple[Any, ...]) -> Burnt:
    start, end, period_start, period_end, used, opening, owed, closing, overage, ids, active = row
    return Burnt(
        start,
        end,
        (period_start, period_end),
        used,
        dict(compress(zip(ids, opening, strict=True), active)),
        owed,
        dict(compress(zip(ids, closing, strict=True), active)),
        overage,
    )
