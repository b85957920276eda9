"""One change of a tenant's entitlements at a time, with what it finds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from audit.services import audited
from billing.entitlements.models.effective import Snapshot
from billing.entitlements.queries.snapshots import load
from billing.entitlements.queries.streams import Granted, granted_of
from billing.entitlements.services.projection import tell
from billing.subscriptions.services.serial import serialise
from kernel import db
from kernel.gate import quota


@dataclass(slots=True)
class Change:
    """What a change starts from: the instant by the database's clock, and what holds then.

    Whoever changes what snapshot and grants hold leaves them as they are after the change, and
    names the feature whose quota windows it touches.
    """

    at: datetime
    snapshot: Snapshot
    granted: Granted
    touched: str | None = None


@contextmanager
def changing(tenant_id: UUID) -> Iterator[Change]:
    """Change a tenant's entitlements in one audited transaction, and tell the gate at its end.

    Guarded use waits until the transaction ends; the instant is taken when nobody decides any more.
    """
    with audited():
        serialise(tenant_id)
        known = quota.lock_grants(tenant_id)
        at, snapshot = _clock(), load(tenant_id)
        change = Change(at, snapshot, granted_of(snapshot))
        yield change
        tell(change.snapshot, known, change.granted, only=change.touched)


def _clock() -> datetime:
    now: datetime = db.rows("SELECT clock_timestamp()")[0][0]
    return now
