"""One change of a tenant's entitlements at a time, with what it finds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from audit.services import audited
from billing.entitlements.models.effective import Snapshot
from billing.entitlements.queries.snapshots import load
from billing.entitlements.services.projection import tell
from billing.subscriptions.services.serial import serialise
from kernel import db
from kernel.gate import quota


@dataclass(slots=True)
class Change:
    """What a change starts from: the instant by the database's clock, and what holds then.

    Whoever changes what the snapshot holds leaves it as it is after the change.
    """

    at: datetime
    snapshot: Snapshot


@contextmanager
def changing(tenant_id: UUID) -> Iterator[Change]:
    """Change a tenant's entitlements in one audited transaction, and tell the gate at its end.

    Guarded use waits until the transaction ends; the instant is taken when nobody decides any more.
    """
    with audited():
        serialise(tenant_id)
        known = quota.lock_grants(tenant_id)
        change = Change(_clock(), load(tenant_id))
        yield change
        tell(change.snapshot, known)


def _clock() -> datetime:
    with db.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now
