"""One change of a tenant's entitlements at a time, with what it finds."""

from collections.abc import Callable, Iterator
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
from kernel.gate import changes


@dataclass(slots=True)
class Change:
    """What a change of a feature starts from: the instant by the database's clock, what holds then.

    Whoever changes what snapshot and grants hold leaves them as they are after the change.
    """

    feature: str
    at: datetime
    snapshot: Snapshot
    granted: Granted


@contextmanager
def changing(tenant_id: UUID, feature_of: Callable[[Snapshot], str]) -> Iterator[Change]:
    """Change what a tenant has of a feature in one audited transaction; tell the gate at its end.

    ``feature_of`` names the feature by what is there when no other change is under way. Guarded use
    of it waits until the transaction ends; the instant is taken when nobody decides any more.
    """
    with audited():
        serialise(tenant_id)
        snapshot = load(tenant_id)
        key = feature_of(snapshot)
        fact = snapshot.features.get(key)
        at, known = changes.lock_grants(tenant_id, key, fact.meter if fact else "")
        change = Change(key, at, snapshot, granted_of(snapshot, feature=fact.id if fact else None))
        yield change
        tell(change.snapshot, known, change.granted, only=key)
