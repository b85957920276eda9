"""One change of a tenant's entitlements at a time, with what it finds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from audit.services import audited
from billing.entitlements.models.effective import Snapshot
from billing.entitlements.queries.snapshots import load
from billing.entitlements.services.projection import project
from billing.subscriptions.services.serial import serialise
from kernel import db
from kernel.gate import quota


@dataclass(frozen=True, slots=True)
class Change:
    """What a change starts from: the instant by the database's clock, and what holds then."""

    at: datetime
    snapshot: Snapshot


@contextmanager
def changing(tenant_id: UUID) -> Iterator[Change]:
    """Change a tenant's entitlements in one audited transaction, and tell the gate at its end.

    Guarded use waits until the transaction ends; the instant is taken when nobody decides any more.
    """
    with audited():
        serialise(tenant_id)
        quota.lock_grants(tenant_id)
        yield Change(_clock(), load(tenant_id))
        project(tenant_id)


def _clock() -> datetime:
    with db.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now
