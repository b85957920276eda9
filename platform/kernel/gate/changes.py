"""Changing what a tenant is granted, as the gate is told of it: kernel/sql/windows.sql.

Each function runs on the current alias (:mod:`kernel.db`) in the caller's transaction. Under the
app role PostgreSQL refuses any tenant but the connection's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

from kernel import db
from kernel.gate.burn import Burn, Reset, Segment, text
from kernel.gate.projection import Burst


@dataclass(frozen=True, slots=True)
class Window:
    """A period [start, end) of a metered feature. ``hard_limit`` None is never refused.

    ``used`` is what the period starts at if it is opened now. With a ``segment`` the window is a
    part of a usage period, and its limit is what grants leave.
    """

    feature: str
    meter: str
    start: datetime
    end: datetime
    hard_limit: Decimal | None
    used: Decimal = Decimal(0)
    segment: Segment | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The whole state of a tenant's grants from the instant ``at`` on; None is unlimited.

    ``issued`` is, by feature, what a usage period itself grants where quotas burn.
    """

    at: datetime
    daily: int | None
    burst: Burst | None
    features: tuple[str, ...]
    hard_limits: Mapping[str, Decimal | None]
    issued: Mapping[str, Decimal | None] = field(default_factory=dict)


def lock_grants(
    tenant_id: UUID, feature: str | None = None, meter: str = ""
) -> tuple[datetime, list[Window]]:
    """Lock a tenant's grants for a change; give the instant of that and the windows that stand.

    A change of one ``feature`` names it and its meter: guarded use of that meter waits until the
    transaction ends, and listed are the feature's windows of the last 400 days and later. Without a
    name, listed are all windows that have not ended or that burn grants; :func:`lock_windows` and
    :func:`put_grants` let guarded use wait. Ingest never does. What windows have used is not told.
    """
    # Times as text: the loader that Django gives them takes ten times as long.
    found = db.rows(
        "SELECT locked_at, feature_key, meter, window_start::text, window_end::text, hard_limit,"
        " burns, issued, period_start::text, period_end::text, reset, recurs"
        " FROM gate.lock_grants($1, $2::text, $3::text)",
        [tenant_id, feature, meter],
    )
    return found[0][0], [_known(row[1:]) for row in found if row[1] is not None]


def lock_windows(tenant_id: UUID, windows: Iterable[Window]) -> None:
    """Let guarded use wait, of the meters of windows that are about to be opened or changed."""
    named = {(window.feature, window.meter) for window in windows}
    features, meters = [list(one) for one in zip(*named, strict=True)] if named else ([], [])
    db.rows("SELECT gate.lock_windows($1, $2::text[], $3::text[])", [tenant_id, features, meters])


def put_grants(
    tenant_id: UUID,
    *,
    daily: int | None,
    burst: Burst | None,
    features: Sequence[str],
    windows: Iterable[Window],
    changes: Iterable[Change],
    burns: Iterable[Burn] | None = None,
    only: str | None = None,
    due: bool = False,
) -> None:
    """Tell the gate everything that a tenant is entitled to, now and later; raises its version.

    Args:
        tenant_id: whose.
        daily: requests a UTC day; None is unlimited.
        burst: None is unlimited.
        features: keys of all granted features.
        windows: quota windows to open, or to give other limits; those of a feature do not overlap.
        changes: what becomes of it later, replacing what was planned before.
        burns: the grants of all features that have some; None leaves them as they are.
        only: the one feature whose windows and grants these are; others stay as they are.
        due: emit :class:`kernel.gate.alarms.QuotaDue`: levels may lie elsewhere.
    """
    db.rows(
        "SELECT gate.put_grants($1, $2, $3, $4, $5::text[], $6::jsonb, $7::jsonb, $8::jsonb,"
        " $9::text, $10)",
        [
            tenant_id,
            daily,
            burst.interval_us if burst else None,
            burst.depth if burst else None,
            list(features),
            _json([_window(window) for window in windows]),
            _json([_change(change) for change in changes]),
            None if burns is None else _json([burn.as_json() for burn in burns]),
            only,
            due,
        ],
    )


def _known(row: tuple[Any, ...]) -> Window:
    feature, meter, start, end, hard_limit, burns, issued, *period, reset, recurs = row
    segment = None
    if burns:
        begins, ends = (datetime.fromisoformat(one) for one in period)
        segment = Segment(issued, begins, ends, Reset(reset), tuple(recurs))
    start, end = datetime.fromisoformat(start), datetime.fromisoformat(end)
    return Window(feature, meter, start, end, hard_limit, segment=segment)


def _window(window: Window) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "feature": window.feature,
        "meter": window.meter,
        "from": window.start,
        "to": window.end,
        "hard_limit": text(window.hard_limit),
        "used": text(window.used),
    }
    segment = window.segment
    if segment is not None:
        facts |= segment.as_json()
    return facts


def _change(change: Change) -> dict[str, Any]:
    return {
        "at": change.at,
        "daily": change.daily,
        "interval": change.burst.interval_us if change.burst else None,
        "depth": change.burst.depth if change.burst else None,
        "features": change.features,
        "limits": {key: text(limit) for key, limit in change.hard_limits.items()},
        "issued": {key: text(amount) for key, amount in change.issued.items()},
    }


def _json(rows: list[dict[str, Any]]) -> str:
    return orjson.dumps(rows).decode()
