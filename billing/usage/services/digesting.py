"""Making digests: of days that have become over, and anew of those that changed since.

A digest is a second telling of roll-ups and events (``sql/digest.sql``): queries take those that
hold, and read the rest as ever. So no figure depends on when one is made.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db import DatabaseError

from kernel import db
from kernel.tenancy import across_tenants

PATIENCE: Final = timedelta(hours=4)
"""How long after its end a day counts as over, as ``sql/digest.sql`` says."""
AT_ONCE: Final = 1_000
"""How many days are looked up before they are made."""
_log = structlog.get_logger("innkeeper.usage")
_Day = tuple[UUID, UUID, str]
"""A tenant, its meter, an ISO day."""
_LOCK: Final = "SELECT pg_try_advisory_lock(hashtextextended('billing.usage.digests', 15))"
_UNLOCK: Final = "SELECT pg_advisory_unlock(hashtextextended('billing.usage.digests', 15))"
_NEW: Final = "SELECT tenant_id, meter_id, day::text FROM billing_usage_undigested($1::int)"
_CHANGED: Final = """
SELECT tenant_id, meter_id, day::text AS iso FROM billing_usage_outdated
WHERE day < ((clock_timestamp() - interval '4 hours') AT TIME ZONE 'UTC')::date
  AND (tenant_id, meter_id, day) > ($2::uuid, $3::uuid, $4::date)
GROUP BY tenant_id, meter_id, day ORDER BY tenant_id, meter_id, day LIMIT $1::int
"""
_MAKE: Final = "SELECT billing_usage_make_digest($2::uuid, $1::uuid, $3::date)"
_FIRST: Final[_Day] = (UUID(int=0), UUID(int=0), "-infinity")


def digest_new(stop: threading.Event) -> int:
    """Make the digests of days that have become over; return how many were made.

    Ends early when ``stop`` is set, and does nothing while another worker is at it. A day that
    somebody is writing into is left to :func:`digest_changed`.
    """
    made = 0
    with _alone() as alone:
        while alone and not stop.is_set():
            days = [(row[0], row[1], row[2]) for row in db.rows(_NEW, [AT_ONCE])]
            done = _make(days, stop)
            made += done
            if len(days) < AT_ONCE or not done:
                break
    return made


def digest_changed(stop: threading.Event) -> int:
    """Make the digests anew of days that changed, each once; return how many were made.

    Ends early when ``stop`` is set, and does nothing while another worker is at it.
    """
    made, last = 0, _FIRST
    with _alone() as alone:
        while alone and not stop.is_set():
            days = [(row[0], row[1], row[2]) for row in db.rows(_CHANGED, [AT_ONCE, *last])]
            made += _make(days, stop)
            if len(days) < AT_ONCE:
                break
            last = days[-1]
    return made


@contextmanager
def _alone() -> Iterator[bool]:
    """Work as staff across tenants, outside any transaction; tell whether nobody else does."""
    with db.use_alias("staff"), across_tenants():
        alone = bool(db.rows(_LOCK)[0][0])
        try:
            yield alone
        finally:
            if alone:
                db.rows(_UNLOCK)


def _make(days: Sequence[_Day], stop: threading.Event) -> int:
    """Make digests, each in a transaction of its own; return how many were.

    A day that PostgreSQL cannot do, being too large for a value or for its patience, holds up no
    other: it is read as days without a digest are.
    """
    made = 0
    for day in days:
        if stop.is_set():
            break
        try:
            made += bool(db.rows(_MAKE, day)[0][0])
        except DatabaseError as error:
            if not db.connection().is_usable():
                raise
            tenant, meter, iso = map(str, day)
            _log.warning("digest.failed", tenant=tenant, meter=meter, day=iso, error=str(error))
    return made
