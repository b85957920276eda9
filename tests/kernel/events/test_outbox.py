"""The outbox: with the change or not at all, every subscriber, at least once, in nobody's name."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import ClassVar

import psycopg
import pytest

from kernel import db, tenancy
from kernel.events import DomainEvent, Registry, emit
from kernel.events import registry as composed
from kernel.events import relay as relay_module
from kernel.events.relay import Relay, backoff_s, claim
from kernel.gate.wire import conninfo
from kernel.ids import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Painted(DomainEvent):
    name: ClassVar[str] = "test.painted"

    colour: str


@pytest.fixture(autouse=True)
def staff(database):
    with db.use_alias("staff"), tenancy.across_tenants():
        relays_idle()
        yield
        relays_idle()


def relays_idle():
    """Take events of other tests out of the way of those that count claims."""
    with db.cursor() as cursor:
        cursor.execute(
            "UPDATE kernel_outbox SET delivered_at = now()"
            " WHERE delivered_at IS NULL AND dead_at IS NULL"
        )


def put(colour="red", tenant=None):
    event = Painted(colour=colour, tenant_id=tenant)
    with db.atomic():
        emit(event)
    return event


def state(event):
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT attempts, done::text, delivered_at IS NOT NULL, dead_at IS NOT NULL, last_error"
            " FROM kernel_outbox WHERE id = %s",
            [event.id],
        )
        return cursor.fetchone()


def listening(**handlers):
    registry = Registry()
    for name, handler in handlers.items():
        registry.subscribe("test.painted", name, handler)
    return Relay(registry)


def make_due(event):
    with db.cursor() as cursor:
        cursor.execute(
            "UPDATE kernel_outbox SET available_at = now(), leased_until = NULL WHERE id = %s",
            [event.id],
        )


def test_emit__outside_transaction__refused():
    with pytest.raises(db.TransactionRequiredError):
        emit(Painted(colour="red"))


def test_emit__rolled_back__leaves_nothing():
    event = Painted(colour="red")
    with pytest.raises(ZeroDivisionError), db.atomic():
        emit(event)
        raise ZeroDivisionError
    assert state(event) is None


def test_emit__app_role__adds_for_its_tenant_and_reads_nothing():
    tenant = new_id()
    with db.use_alias("default"), tenancy.tenant_context(tenant):
        own, foreign = (
            Painted(colour="red", tenant_id=tenant),
            Painted(colour="red", tenant_id=new_id()),
        )
        with db.atomic():
            emit(own)
        with pytest.raises(Exception, match="row-level security"), db.atomic():
            emit(foreign)
        with pytest.raises(Exception, match="permission denied"), db.cursor() as cursor:
            cursor.execute("SELECT * FROM kernel_outbox")
    assert state(own) is not None


def test_relay__two_subscribers__each_gets_the_event_in_its_tenant():
    heard, tenant = [], new_id()
    relay = listening(
        a=lambda e: heard.append(("a", e.payload, tenancy.current_tenant())),
        b=lambda e: heard.append(("b", e.payload, tenancy.current_tenant())),
    )
    event = put("blue", tenant)
    assert relay.run_once() == 1
    assert heard == [("a", {"colour": "blue"}, tenant), ("b", {"colour": "blue"}, tenant)]
    assert state(event)[2:] == (True, False, "")
    assert relay.run_once() == 0


def test_relay__one_subscriber_fails__only_that_one_is_repeated():
    heard = []

    def flaky(event):
        heard.append("flaky")
        if event.attempt == 1:
            raise ValueError("paint is dry")

    relay = listening(steady=lambda e: heard.append("steady"), flaky=flaky)
    event = put()
    relay.run_once()
    assert state(event) == (1, '["steady"]', False, False, "ValueError: paint is dry")
    make_due(event)
    relay.run_once()
    assert heard == ["steady", "flaky", "flaky"]
    assert state(event)[2] is True


def test_relay__keeps_failing__buried_after_the_last_attempt(monkeypatch):
    monkeypatch.setattr(relay_module, "MAX_ATTEMPTS", 2)

    def fail(event):
        raise ValueError("never")

    relay, event = listening(x=fail), put()
    for _ in range(3):
        relay.run_once()
        make_due(event)
    attempts, _, delivered, dead, _ = state(event)
    assert (attempts, delivered, dead) == (2, False, True)


def test_relay__subscriber_wrote_then_failed__its_writes_are_rolled_back():
    inner = Painted(colour="inner")

    def write_and_fail(event):
        emit(inner)
        raise ValueError

    put()
    listening(x=write_and_fail).run_once()
    assert state(inner) is None


def test_claim__leased__nobody_else_gets_it_until_the_lease_ends():
    event = put()
    assert [held.delivery.id for held in claim(10)] == [event.id]
    assert claim(10) == []
    make_due(event)
    [again] = claim(10)
    assert (again.token, again.delivery.attempt) == (2, 2)


def test_relay__lost_its_lease__cannot_finish():
    event, handled = put(), []

    def slow(delivery):
        handled.append(delivery.attempt)
        make_due_elsewhere(event)

    def make_due_elsewhere(event):
        thread = threading.Thread(target=overtake, args=(event,))
        thread.start()
        thread.join()

    def overtake(event):
        # The row is locked by the slow relay's mark, so the overtaker waits: give it a lease first.
        with db.use_alias("staff"), db.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
            with pytest.raises(Exception, match="lock timeout"):
                cursor.execute(
                    "UPDATE kernel_outbox SET token = token + 1 WHERE id = %s", [event.id]
                )
        db.connection().close()

    listening(x=slow).run_once()
    assert handled == [1]
    assert state(event)[2] is True


def test_relay__token_moved_on_before_the_mark__rolls_back_and_leaves_the_event():
    event, handled = put(), []
    [held] = claim(10)
    with db.cursor() as cursor:
        cursor.execute("UPDATE kernel_outbox SET token = token + 1 WHERE id = %s", [event.id])
    listening(x=lambda e: handled.append(1))._deliver(held)
    assert handled == []
    assert state(event)[1:3] == ("[]", False)


def test_claim__long_writer_open__skips_no_committed_event_and_takes_the_late_one():
    blocker = psycopg.connect(conninfo("staff"), autocommit=False)
    late = new_id()
    blocker.execute(
        "INSERT INTO kernel_outbox (id, name, payload, occurred_at, available_at)"
        " VALUES (%s, 'test.painted', '{}', now(), now())",
        [late],
    )
    early = put()
    assert [held.delivery.id for held in claim(10)] == [early.id]
    blocker.commit()
    blocker.close()
    assert [held.delivery.id for held in claim(10)] == [late]


def test_backoff__grows_to_a_ceiling_with_full_jitter():
    for attempt in range(1, 40):
        ceiling = min(2 ** (attempt - 1), 3600)
        assert 0 <= backoff_s(attempt) <= ceiling
    assert len({backoff_s(10) for _ in range(20)}) > 10


def test_registry__subscribed_twice__refused():
    registry = Registry()
    registry.subscribe("a.b", "me", print)
    with pytest.raises(ValueError, match="twice"):
        registry.subscribe("a.b", "me", print)
    registry.react("a.b", print)
    with pytest.raises(ValueError, match="twice"):
        registry.react("a.b", print)
    assert registry.names() == {"a.b"}


def test_react__inside_emit__same_transaction():
    seen = []
    composed.react("test.painted", lambda e: seen.append((e.colour, db.in_transaction())))
    try:
        put("green")
    finally:
        composed._reactions.pop("test.painted")
    assert seen == [("green", True)]


_CHILD = """
import django, sys
django.setup()
from kernel import db
from kernel.events import Registry
from kernel.events.relay import Relay
import threading

def handle(event):
    with db.cursor() as cursor:
        cursor.execute("INSERT INTO outbox_seen VALUES (%s)", [event.id])

registry = Registry()
registry.subscribe("test.painted", "seen", handle)
print("up", flush=True)
Relay(registry).run(threading.Event())
"""


def test_relay__killed_again_and_again__every_committed_event_handled_once(monkeypatch):
    monkeypatch.setattr(relay_module, "LEASE_S", 1)
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute("CREATE TABLE outbox_seen (id uuid NOT NULL)")
    child = _CHILD.replace("import threading\n", "import threading\nrelay_lease = 1\n").replace(
        "print(", "import kernel.events.relay as r; r.LEASE_S = 1\nprint("
    )
    events = []
    try:
        for _ in range(5):
            events += [put() for _ in range(20)]
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", child],
                stdout=subprocess.PIPE,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )
            process.stdout.readline()
            time.sleep(0.15)  # let it get into the middle of its work before it dies
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
        registry = Registry()

        def handle(event):
            with db.cursor() as cursor:
                cursor.execute("INSERT INTO outbox_seen VALUES (%s)", [event.id])

        registry.subscribe("test.painted", "seen", handle)
        deadline = time.monotonic() + 20
        while any(not state(event)[2] for event in events) and time.monotonic() < deadline:
            with db.cursor() as cursor:
                cursor.execute(
                    "UPDATE kernel_outbox SET leased_until = NULL WHERE delivered_at IS NULL"
                )
            Relay(registry).run_once()
        with db.cursor() as cursor:
            cursor.execute("SELECT id, count(*) FROM outbox_seen GROUP BY id")
            assert dict(cursor.fetchall()) == {event.id: 1 for event in events}
    finally:
        with db.use_alias("owner"), db.cursor() as cursor:
            cursor.execute("DROP TABLE outbox_seen")
