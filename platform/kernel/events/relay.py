"""The relay: claims due events, hands them to subscribers, retries, buries what keeps failing.

Claims use FOR UPDATE SKIP LOCKED with a lease and a fencing token, so any number of relays may run
and one that stalls past its lease cannot finish what another has taken over. Each subscriber runs
in a transaction of its own that also marks it as done: what it writes here happens exactly once,
what it does elsewhere at least once. Events whose lease ran out are taken one at a time, so that
one that kills its worker is found out alone and buried, and takes no neighbours along.
"""

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import structlog

from kernel import db, tenancy
from kernel.acting import as_system
from kernel.events.registry import Delivery, Registry, Subscriber
from kernel.events.registry import registry as everybody

BATCH = 50
LEASE_S = 60
MAX_ATTEMPTS = 12
BACKOFF_FIRST_S = 1.0
BACKOFF_LONGEST_S = 3600.0
IDLE_S = 0.2
KEEP_DELIVERED_DAYS = 7
_log = structlog.get_logger("innkeeper.outbox")

# Materialised: a plan that evaluates the choice again for each row would claim beyond the limit.
_CLAIM = """
WITH due AS MATERIALIZED (
  SELECT i.id FROM kernel_outbox i
   WHERE i.delivered_at IS NULL AND i.dead_at IS NULL AND i.leased_until IS NULL
     AND i.available_at <= statement_timestamp()
     AND (i.ordering_key IS NULL
          OR NOT EXISTS (SELECT FROM kernel_outbox e
                          WHERE e.ordering_key = i.ordering_key AND e.position < i.position
                            AND e.delivered_at IS NULL AND e.dead_at IS NULL))
   ORDER BY i.available_at, i.id LIMIT %s FOR UPDATE SKIP LOCKED)
UPDATE kernel_outbox o
   SET leased_until = clock_timestamp() + make_interval(secs => %s),
       token = o.token + 1, attempts = o.attempts + 1
  FROM due WHERE o.id = due.id
RETURNING o.id, o.tenant_id, o.name, o.payload, o.occurred_at, o.attempts, o.token, o.done
"""
_CLAIM_LOST = """
WITH due AS MATERIALIZED (
  SELECT i.id FROM kernel_outbox i
   WHERE i.delivered_at IS NULL AND i.dead_at IS NULL AND i.leased_until < statement_timestamp()
   ORDER BY i.leased_until, i.id LIMIT 1 FOR UPDATE SKIP LOCKED)
UPDATE kernel_outbox o
   SET leased_until = clock_timestamp() + make_interval(secs => %s),
       token = o.token + 1, attempts = o.attempts + 1
  FROM due WHERE o.id = due.id
RETURNING o.id, o.tenant_id, o.name, o.payload, o.occurred_at, o.attempts, o.token, o.done
"""
_BURY_LOST = """
UPDATE kernel_outbox
   SET dead_at = clock_timestamp(), leased_until = NULL,
       last_error = 'no worker that took it came back'
 WHERE delivered_at IS NULL AND dead_at IS NULL AND leased_until < statement_timestamp()
   AND attempts >= %s
"""
_MARK = """
UPDATE kernel_outbox SET done = done || to_jsonb(%s::text)
 WHERE id = %s AND token = %s AND NOT done ? %s RETURNING id
"""
_DELIVERED = """
UPDATE kernel_outbox SET delivered_at = clock_timestamp(), leased_until = NULL
 WHERE id = %s AND token = %s
"""
_FAILED = """
UPDATE kernel_outbox
   SET leased_until = NULL, last_error = %s,
       available_at = clock_timestamp() + make_interval(secs => %s),
       dead_at = CASE WHEN attempts >= %s THEN clock_timestamp() END
 WHERE id = %s AND token = %s
"""
_PURGE = """
DELETE FROM kernel_outbox
 WHERE delivered_at < clock_timestamp() - make_interval(days => %s)
"""


class LostLeaseError(RuntimeError):
    """Another relay has taken the event over: this one's work on it is rolled back."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An event that this relay holds until its lease ends."""

    delivery: Delivery
    token: int
    done: frozenset[str]


class Relay:
    """Delivers events to the subscribers of a registry."""

    def __init__(self, registry: Registry = everybody) -> None:
        self._registry = registry

    def run(self, stop: threading.Event) -> None:
        """Deliver until told to stop, at rest polling every 0.2 s."""
        with as_system():
            while not stop.is_set():
                if not self.run_once():
                    stop.wait(IDLE_S)

    def run_once(self) -> int:
        """Deliver one lost event, if any, then one batch; give their number. Runs as staff."""
        return self._deliver_all(claim_lost()) + self._deliver_all(claim(BATCH))

    def _deliver_all(self, claims: list[Claim]) -> int:
        for held in claims:
            self._deliver(held)
        return len(claims)

    def _deliver(self, held: Claim) -> None:
        event = held.delivery
        try:
            for name, subscriber in self._registry.subscribers(event.name).items():
                if name not in held.done:
                    self._hand_over(name, subscriber, held)
        except LostLeaseError:
            _log.warning("outbox.lease_lost", event_id=str(event.id), event_name=event.name)
        except Exception as error:  # noqa: BLE001 - the job loop: one event must not stop the others
            _log.exception("outbox.failed", event_id=str(event.id), event_name=event.name)
            _execute(
                _FAILED,
                [
                    f"{type(error).__name__}: {error}"[:2000],
                    backoff_s(event.attempt),
                    MAX_ATTEMPTS,
                    event.id,
                    held.token,
                ],
            )
        else:
            _execute(_DELIVERED, [event.id, held.token])

    def _hand_over(self, name: str, subscriber: Subscriber, held: Claim) -> None:
        event = held.delivery
        with db.atomic():
            if not _execute(_MARK, [name, event.id, held.token, name]):
                raise LostLeaseError(name)
            if event.tenant_id is None:
                subscriber(event)
                return
            with tenancy.tenant_context(event.tenant_id):
                subscriber(event)


def claim(limit: int) -> list[Claim]:
    """Take up to ``limit`` due events under a lease of 60 s, of each ordering key the first."""
    with db.atomic(), db.cursor() as cursor:
        cursor.execute(_CLAIM, [limit, LEASE_S])
        return sorted(map(_claim, cursor.fetchall()), key=lambda held: held.delivery.id)


def claim_lost() -> list[Claim]:
    """Take one event whose lease has run out, after burying those that were lost too often."""
    if buried := _execute(_BURY_LOST, [MAX_ATTEMPTS]):
        _log.error("outbox.buried", events=buried)
    with db.atomic(), db.cursor() as cursor:
        cursor.execute(_CLAIM_LOST, [LEASE_S])
        return [_claim(row) for row in cursor.fetchall()]


def purge() -> int:
    """Delete what was delivered over a week ago; give the number of events."""
    return _execute(_PURGE, [KEEP_DELIVERED_DAYS])


def backoff_s(attempt: int) -> float:
    """Give the seconds until the next attempt: exponential, with full jitter."""
    ceiling = min(BACKOFF_FIRST_S * 2 ** (attempt - 1), BACKOFF_LONGEST_S)
    return random.uniform(0, ceiling)  # noqa: S311 - spreads load, hides nothing


def _claim(row: Sequence[Any]) -> Claim:
    identifier: UUID
    occurred_at: datetime
    identifier, tenant_id, name, payload, occurred_at, attempts, token, done = row
    # Django leaves jsonb of raw cursors as text.
    delivery = Delivery(identifier, name, tenant_id, occurred_at, orjson.loads(payload), attempts)
    return Claim(delivery, token, frozenset(orjson.loads(done)))


def _execute(sql: str, values: Sequence[Any]) -> int:
    with db.cursor() as cursor:
        cursor.execute(sql, values)
        return int(cursor.rowcount)
