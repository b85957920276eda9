"""The order of events of one key, and those that take their worker along."""

import threading
from dataclasses import dataclass
from typing import ClassVar

import pytest

from kernel import db, tenancy
from kernel.events import DomainEvent, Registry, emit
from kernel.events import relay as relay_module
from kernel.events.registry import UnknownEventError
from kernel.events.relay import Relay, claim, claim_lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved(DomainEvent):
    name: ClassVar[str] = "test.moved"

    piece: str | None = None

    def ordering_key(self):
        return self.piece


@pytest.fixture(autouse=True)
def staff(database):
    with db.use_alias("staff"), tenancy.across_tenants():
        settle()
        yield
        settle()


def settle():
    execute("UPDATE kernel_outbox SET delivered_at = now() WHERE delivered_at IS NULL")


def execute(sql, *values):
    with db.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if cursor.description else None


def put(*pieces):
    events = [Moved(piece=piece) for piece in pieces]
    with db.atomic():
        for event in events:
            emit(event)
    return [event.id for event in events]


def claimed(claims):
    return {held.delivery.id for held in claims}


def lose(*events):
    """Leave claimed events as a worker leaves them that was killed a lease ago."""
    execute(
        "UPDATE kernel_outbox SET leased_until = now() - interval '1 s', attempts = attempts + 1"
        " WHERE id = ANY(%s)",
        list(events),
    )


def listening(handler):
    registry = Registry()
    registry.subscribe("test.moved", "me", handler)
    return Relay(registry)


def test_claim__ordering_keys__takes_the_first_of_each_and_all_without():
    a1, a2, b1, free1, free2 = put("a", "a", "b", None, None)
    assert claimed(claim(10)) == {a1, b1, free1, free2}
    assert claim(10) == []
    execute("UPDATE kernel_outbox SET delivered_at = now() WHERE id = %s", a1)
    assert claimed(claim(10)) == {a2}


def test_relay__first_of_a_key_fails__holds_up_its_key_alone():
    heard = []

    def fail_a1(event):
        heard.append(event.id)
        if event.id == a1:
            raise ValueError("stuck")

    a1, a2, b1 = put("a", "a", "b")
    relay = listening(fail_a1)
    relay.run_once()
    execute("UPDATE kernel_outbox SET available_at = now() + interval '1 h' WHERE id = %s", a1)
    relay.run_once()
    assert sorted(heard) == sorted([a1, b1])
    execute("UPDATE kernel_outbox SET dead_at = now() WHERE id = %s", a1)
    relay.run_once()
    assert heard[2:] == [a2]


def test_relay__many_of_one_key__hands_all_over_in_order_without_resting(monkeypatch):
    monkeypatch.setattr(relay_module, "IDLE_S", 60)
    stop, heard = threading.Event(), []
    events = put(*["a"] * 8)

    def hear(event):
        heard.append(event.id)
        if len(heard) == len(events):
            stop.set()

    listening(hear).run(stop)
    assert heard == events


def test_claim__lost_leases__are_taken_one_at_a_time_and_not_with_the_batch():
    lost1, lost2, fresh = put(None, None, None)
    lose(lost1, lost2)
    assert claimed(claim(10)) == {fresh}
    first, second = claimed(claim_lost()), claimed(claim_lost())
    assert (len(first), len(second), first | second) == (1, 1, {lost1, lost2})
    assert claim_lost() == []


def test_relay__event_that_kills_its_worker__is_buried_and_its_neighbour_delivered(monkeypatch):
    monkeypatch.setattr(relay_module, "MAX_ATTEMPTS", 3)
    poison, neighbour = put(None, None)

    def die(event):
        if event.id == poison:
            raise SystemExit  # as a kill: nothing is noted, the lease runs out

    relay = listening(die)
    for _ in range(5):
        try:
            relay.run_once()
        except SystemExit:
            execute(
                "UPDATE kernel_outbox SET leased_until = now() - interval '1 s'"
                " WHERE leased_until IS NOT NULL AND delivered_at IS NULL"
            )
    found = execute(
        "SELECT id, attempts, delivered_at IS NOT NULL, dead_at IS NOT NULL FROM kernel_outbox"
        " WHERE id IN (%s, %s) ORDER BY dead_at",
        poison,
        neighbour,
    )
    # The neighbour shares the first batch with it and nothing after, whichever came first there.
    assert found[0] == (poison, 3, False, True)
    assert (found[1][0], found[1][2:]) == (neighbour, (True, False))
    assert found[1][1] <= 2


def test_registry__hears_a_misspelt_event__fails_at_start():
    registry = Registry()
    registry.subscribe("test.moved", "me", print)
    registry.check()
    registry.subscribe("test.mvoed", "me", print)
    with pytest.raises(UnknownEventError, match=r"test\.mvoed"):
        registry.check()
