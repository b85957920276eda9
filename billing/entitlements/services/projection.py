"""Telling the gate what a tenant is entitled to, in the transaction of the change."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final
from uuid import UUID

from django.utils import timezone

from billing.catalog.models.values import THRESHOLDS
from billing.entitlements.models.effective import Effective, Snapshot
from billing.entitlements.models.projection import (
    changes_after,
    grants_of,
    hard_limit,
    issued,
    periods_ahead,
)
from billing.entitlements.models.streams import Stream
from billing.entitlements.queries.snapshots import load
from billing.entitlements.queries.streams import Granted, streams_of
from billing.entitlements.queries.used import operators_meters, used_in
from billing.subscriptions.events import SubscriptionChanged
from kernel import db
from kernel.gate import changes
from kernel.gate.burn import Base, burnt
from kernel.gate.burn import bases as quota_bases
from kernel.gate.changes import Window

_SKEW: Final = timedelta(minutes=5)
"""How far ahead of the clock an event's time may lie and count."""
HORIZON: Final = timedelta(days=62)
"""Balances follow late events and corrections at least so far back: of periods that ended before,
they are kept as they are."""

# What is counted then is asked by prepared statements, whose plans may be used again: to plan them
# over all months takes several times as long as to run them.
_LOCK_INGEST: Final = """
SELECT pg_advisory_xact_lock(key), set_config('plan_cache_mode', 'force_generic_plan', true) FROM (
  SELECT DISTINCT billing_usage_lock($1::uuid, type, day) AS key
    FROM unnest($2::text[]) AS type,
         generate_series(date_trunc('day', $3::timestamptz, 'UTC'), $4::timestamptz, '1 day') AS day
   ORDER BY key) AS keys
"""


def project(tenant_id: UUID, *, unused: bool = False) -> None:
    """Write limits, features, quota windows and planned changes; raises the entitlement version.

    Call it in the transaction of whatever changed the tenant's entitlements, and to open quota
    windows further ahead. A quota that opens over time already used starts at what the meter says;
    ``unused`` says of a new tenant that there is no such time.
    """
    with db.atomic():
        snapshot = load(tenant_id)
        known: list[Window] = [] if unused else changes.lock_grants(tenant_id)[1]
        tell(snapshot, known, unused=unused)


def tell(
    snapshot: Snapshot,
    known: Sequence[Window],
    granted: Granted | None = None,
    *,
    only: str | None = None,
    unused: bool = False,
) -> None:
    """Do as :func:`project` does with a snapshot that is at hand, under locked grants.

    ``known`` are the windows that :func:`kernel.gate.changes.lock_grants` gave in this transaction,
    ``granted`` the grants and resets (None: read them). ``only`` is the one feature whose windows
    and grants a change can have touched: it was named there, and the others stay.
    """
    now = timezone.now()
    tenant_id = snapshot.tenant_id
    with db.atomic():
        effective = snapshot.all(now)
        grants = grants_of(snapshot, effective)
        touched = [one for one in effective if only in {None, one.feature.key}]
        streams = {} if unused else streams_of(snapshot, touched, granted)
        bases = _bases(tenant_id, streams, known, now)
        windows = _changed(_windows(snapshot, touched, streams, bases, known, now), known)
        if not unused:
            windows = _started(tenant_id, windows, known, now, locked=only is not None)
        changes.put_grants(
            tenant_id,
            daily=grants.daily,
            burst=grants.burst,
            features=grants.features,
            windows=windows,
            changes=changes_after(snapshot, now),
            burns=[streams[key].burn(base) for key, base in bases.items()],
            only=only,
            due=not unused or _watched_otherwise(effective),
        )


def on_subscription_changed(event: SubscriptionChanged) -> None:
    """Tell the gate what another plan grants, in the transaction that assigned it."""
    if event.tenant_id is not None:
        project(event.tenant_id, unused=event.previous is None)


def _watched_otherwise(effective: Iterable[Effective]) -> bool:
    """Tell whether requests have thresholds of their own, which the gate does not know yet."""
    return any(one.feature.counted_by_gate and one.thresholds != THRESHOLDS for one in effective)


def _bases(
    tenant_id: UUID, streams: Mapping[str, Stream], known: Sequence[Window], now: datetime
) -> dict[str, Base]:
    """Say where the segments of each stream start from; old ones are folded into balances."""
    burns = any(window.segment is not None for window in known)
    stored = quota_bases(tenant_id) if burns else {}
    found = {}
    for key, stream in streams.items():
        base = stored.get(key)
        if base is None or base.stream != stream.id:
            found[key] = stream.fresh_base(now)
        else:
            found[key] = _folded(tenant_id, key, base, now)
    return found


def _folded(tenant_id: UUID, key: str, base: Base, now: datetime) -> Base:
    """Move a base to the last reset before the horizon, with the balances of that instant."""
    if base.at > now - 2 * HORIZON:
        return base
    rows = burnt(tenant_id, key, now - HORIZON)
    for before, row in reversed(list(pairwise(rows))):
        if row.start == row.period[0] and row.start <= now - HORIZON:
            return Base(base.stream, row.start, before.overage, before.closing)
    return base


def _windows(  # noqa: PLR0917 - what was found under the locks
    snapshot: Snapshot,
    touched: Iterable[Effective],
    streams: Mapping[str, Stream],
    bases: Mapping[str, Base],
    known: Sequence[Window],
    now: datetime,
) -> Iterator[Window]:
    for effective in touched:
        feature = effective.feature
        if feature.group_filters:
            yield from _watched(snapshot, effective, now)
        if not feature.has_quota:
            continue
        limit = hard_limit(effective)
        stream = streams.get(feature.key)
        if stream is None:
            for period in periods_ahead(snapshot, effective, now):
                yield Window(feature.key, feature.meter, period.start, period.end, limit)
        else:
            cut = stream.windows(now, limit, issued(effective))
            yield from _cut(list(cut), bases[feature.key], known, now)


def _watched(snapshot: Snapshot, effective: Effective, now: datetime) -> Iterator[Window]:
    """Watch the whole meter of a feature that counts some of its groups: it refuses nothing.

    What the feature has used cannot grow by more than the meter does, so that the alarms of these
    windows find its thresholds (docs/adr/0099).
    """
    if issued(effective):
        feature = effective.feature
        for period in periods_ahead(snapshot, effective, now):
            yield Window(feature.key, feature.meter, period.start, period.end, None)


def _cut(cut: list[Window], base: Base, known: Sequence[Window], now: datetime) -> Iterator[Window]:
    """Choose what of a stream's segments has to be written; what has ended and stands, stands.

    A segment of before that reaches into the first of them is cut off there, and counted anew: what
    was used after belongs to the new ones.
    """
    stand = {_key(window) for window in known}
    written = [
        window for window in cut
        if window.start >= base.at and (_period_end(window) > now or _key(window) not in stand)
    ]  # fmt: skip
    first = min(window.start for window in written)
    for window in known:
        if (
            window.segment is not None
            and window.feature == cut[0].feature
            and base.at <= window.start < first < window.end
        ):
            yield replace(window, end=first)
    yield from written


def _key(window: Window) -> tuple[str, datetime, datetime]:
    return window.feature, window.start, window.end


def _period_end(window: Window) -> datetime:
    return window.end if window.segment is None else window.segment.end


def _changed(windows: Iterable[Window], known: Sequence[Window]) -> list[Window]:
    """Leave out what stands already, as it stands."""
    if not known:
        return list(windows)
    stand = {_key(window): window for window in known}
    return [window for window in windows if stand.get(_key(window)) != window]


def _started(
    tenant_id: UUID, windows: list[Window], known: Sequence[Window], now: datetime, *, locked: bool
) -> list[Window]:
    """Let windows that open over time already used start at what was used.

    Locks in the order of kernel/sql/burn.sql: grants before the locks of ingest.
    """
    stand = {_key(window) for window in known}
    begun = [
        window for window in windows if window.start <= now + _SKEW and _key(window) not in stand
    ]
    if not begun:
        return windows
    if not locked:
        changes.lock_windows(tenant_id, windows)
    used = _used_already(tenant_id, begun)
    return [replace(one, used=used.get(_key(one), one.used)) for one in windows]


def _used_already(
    tenant_id: UUID, windows: Sequence[Window]
) -> dict[tuple[str, datetime, datetime], Decimal]:
    """Sum up what was used in windows that this transaction is about to open.

    Whoever ingests takes the same locks shared, in the same order: those before have committed when
    the locks are there, those after wait for the windows and count in them.
    """
    meters = operators_meters(sorted({window.meter for window in windows}))
    first = min(window.start for window in windows)
    types = sorted({meter.event_type for meter in meters.values()})
    db.rows(_LOCK_INGEST, [tenant_id, types, first, timezone.now() + 2 * _SKEW])
    until = timezone.now() + 2 * _SKEW  # no event lies further ahead
    found: dict[tuple[str, datetime, datetime], Decimal] = {}
    for meter in meters.values():
        mine = [window for window in windows if window.meter == meter.slug]
        spans = [(window.start, min(window.end, until)) for window in mine]
        amounts = used_in(tenant_id, meter, spans)
        found |= {_key(window): amount for window, amount in zip(mine, amounts, strict=True)}
    return found
