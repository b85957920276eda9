"""Single events that arrive together: one commit, each its own answer, no tenant another's."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from billing.usage.cloudevents import decode
from billing.usage.literals import array
from billing.usage.services.grouping import Group, Single, group_of_operator, group_of_tenants
from kernel import db
from kernel.errors import Invalid
from kernel.gate.admission import admit
from kernel.gate.presented import credential
from kernel.gate.wire import HotConnection, Statement, StatementError
from tests.billing.entitlements.quotas import limit, value
from tests.billing.house import House, make_house
from tests.billing.usage.reports import as_staff, define, event, report, rollups, total, word
from tests.waiting import until

PATIENCE = 20.0


class Held(HotConnection):
    """A connection whose statements wait for ``let_go``, once ``hold`` was called."""

    def __init__(self, alias: str = "default") -> None:
        super().__init__(alias)
        self._fails = False
        self._open_now = threading.Event()
        self._open_now.set()

    def hold(self) -> None:
        self._open_now.clear()

    def let_go(self) -> None:
        self._open_now.set()

    def fail_once(self) -> None:
        """Let the next statement fail as PostgreSQL's refusals do: the connection is closed."""
        self._fails = True

    def row(self, statement: Statement, values: Any) -> Any:
        assert self._open_now.wait(PATIENCE)
        if self._fails:
            self._fails = False
            self.close()
            raise StatementError("XX000", "as the test wished")
        return super().row(statement, values)


class Queue:
    """A group with an event under way that is held up, so that those sent next gather."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self._pool = ThreadPoolExecutor(16)
        self._connections: list[Held] = []
        self._first = Held()

    def start(self, house: House) -> "Future[bool]":
        """Send the event that all others wait for."""
        single = self.single(house, event(word()))
        self._first = self._connections[-1]
        self._first.hold()
        future = self._pool.submit(self.group.take, single, self._first)
        until("the queue stands so", lambda: self.group.busy)
        return future

    def add(self, house: House, sent: dict[str, Any], **facts: Any) -> "Future[bool]":
        """Send an event from another thread; give its outcome, which is still to come."""
        place = self.group.waiting + 1
        single = self.single(house, sent, **facts)
        future = self._pool.submit(self.group.take, single, self._connections[-1])
        until("the queue stands so", lambda: self.group.waiting == place)
        return future

    def single(
        self, house: House, sent: dict[str, Any], alias: str = "default", **facts: Any
    ) -> Single:
        """Admit the house's key on a connection of its own, and read the event."""
        connection = Held(alias)
        self._connections.append(connection)
        admission = admit(connection, house.key, ip=None, permission="events:write")
        reporter = {
            "tenant_id": house.id,
            "by_operator": False,
            "key_id": admission.key_id,
            "connection": connection,
        }
        read = decode(json.dumps(sent).encode(), "application/json")[0]
        return Single(read, reporter | facts, credential(house.key))

    def connection(self, place: int) -> Held:
        return self._connections[place]

    def go(self) -> None:
        self._first.let_go()

    def close(self) -> None:
        self.go()
        self._pool.shutdown()
        for connection in self._connections:
            connection.close()


@pytest.fixture
def queue() -> Iterator[Queue]:
    made = Queue(group_of_tenants())
    yield made
    made.close()


def ledger(*ids: str) -> list[tuple[Any, ...]]:
    with as_staff(), db.cursor() as cursor:
        cursor.execute(
            "SELECT id, tenant_id, scope, key_id, xid::text FROM billing_usage_event"
            " WHERE id = ANY (%s) ORDER BY seq",
            [list(ids)],
        )
        return cursor.fetchall()


def test_group__events_of_two_tenants__are_one_commit_and_each_its_own_tenants(house, queue):
    other = make_house("enterprise")
    meters = {house.id: define(house.id), other.id: define(other.id)}
    first = queue.start(house)
    sent = [(h, event(meters[h.id].slug, 5)) for h in (house, other, other)]

    futures = [queue.add(whose, what) for whose, what in sent]
    queue.go()

    assert [first.result(PATIENCE), *(f.result(PATIENCE) for f in futures)] == [True] * 4
    rows = ledger(*(what["id"] for _, what in sent))
    assert len({row[4] for row in rows}) == 1
    assert {row[0]: row[1] for row in rows} == {what["id"]: whose.id for whose, what in sent}
    assert all(row[1] == row[2] for row in rows)
    assert total(house.id, meters[house.id]) == 5
    assert total(other.id, meters[other.id]) == 10


def test_group__keeps_the_key_that_was_presented(house, queue):
    queue.start(house)
    sent = [event(word()) for _ in range(2)]
    single = queue.single(house, event(word()))

    futures = [queue.add(house, one) for one in sent]
    queue.go()

    assert all(future.result(PATIENCE) for future in futures)
    keys = {row[3] for row in ledger(*(one["id"] for one in sent))}
    assert keys == {single.reporter["key_id"]}


def test_group__same_event_from_two_callers__is_new_for_one(house, queue):
    meter = define(house.id)
    sent = event(meter.slug, 3)
    queue.start(house)

    futures = [queue.add(house, sent) for _ in range(3)]
    queue.go()

    assert sorted(future.result(PATIENCE) for future in futures) == [False, False, True]
    assert total(house.id, meter) == 3


def test_group__event_that_cannot_be_kept__fails_alone(house, queue):
    meter = define(house.id)
    queue.start(house)

    good = [queue.add(house, event(meter.slug, 1)) for _ in range(2)]
    bad = queue.add(house, event(meter.slug, data={"value": "a\0b"}))
    good.append(queue.add(house, event(meter.slug, 1)))
    queue.go()

    assert [future.result(PATIENCE) for future in good] == [True] * 3
    with pytest.raises(Invalid):
        bad.result(PATIENCE)
    assert total(house.id, meter) == 3


def test_group__statement_fails__everyone_goes_on_alone(house, queue):
    other = make_house("enterprise")
    meters = {house.id: define(house.id), other.id: define(other.id)}
    queue.start(house)
    senders = [other, house, other]
    futures = [queue.add(one, event(meters[one.id].slug, 1)) for one in senders]

    queue.connection(1).fail_once()
    queue.go()

    assert [future.result(PATIENCE) for future in futures] == [True] * 3
    assert (total(house.id, meters[house.id]), total(other.id, meters[other.id])) == (1, 2)


def test_group__connection_of_its_leader_is_gone__is_written_on_another(house, queue):
    meter = define(house.id)
    queue.start(house)
    futures = [queue.add(house, event(meter.slug, 1)) for _ in range(3)]

    ending = Statement("ending", "SELECT pg_terminate_backend($1::int, 5000)", parameters=1)
    bystander = HotConnection()
    bystander.row(ending, [str(queue.connection(1).backend).encode()])
    bystander.close()
    queue.go()

    assert [future.result(PATIENCE) for future in futures] == [True] * 3
    assert total(house.id, meter) == 3


def test_group__somebody_waits_for_a_lock__nobody_else_does(house, queue):
    other = make_house("enterprise")
    meter = define(other.id)
    queue.start(house)
    stuck = event(word())
    futures = [queue.add(house, stuck), queue.add(other, event(meter.slug, 1))]

    with as_staff(), db.atomic(), db.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(billing_usage_lock(%s, %s, %s))",
            [house.id, stuck["type"], stuck["time"]],
        )
        queue.go()
        assert futures[1].result(PATIENCE) is True
        assert ledger(stuck["id"]) == []

    assert total(other.id, meter) == 1


def test_group__another_tenant_than_the_keys__is_refused_twice(house):
    other = make_house("enterprise")
    presented = credential(other.key)
    assert presented is not None
    connection = HotConnection()
    admit(connection, other.key, ip=None, permission="events:write")
    statement = Statement(
        "forged",
        "SELECT billing_usage_ingest_group($1::uuid[], $2::text[], $3::text[], $4::bytea[],"
        " '{x}', '{x}', '{x}', '{x}', '{NULL}', '{NULL}', NULL)",
        parameters=4,
    )

    def ask(tenant: House, public_id: str, mac: bytes) -> str:
        values = [
            array([tenant.id]),
            array([public_id]),
            array([public_id]),
            array([rf"\x{mac.hex()}"]),
        ]
        with pytest.raises(StatementError) as refused:
            connection.row(statement, values)
        return refused.value.sqlstate

    mine = credential(house.key)
    assert mine is not None
    assert ask(house, presented.public_id, presented.macs[0]) == "42501"
    assert ask(house, mine.public_id, presented.macs[0]) == "42501"
    assert ledger("x") == []
    connection.close()


def test_group__helpers_of_the_owner__are_closed_to_the_application(house):
    connection = HotConnection()

    for call in (
        "gate.presented('{}', '{}')",
        "gate.count_usage('{}', '{}', '{}', '{}')",
    ):
        with pytest.raises(StatementError) as refused:
            connection.row(Statement(word(), f"SELECT {call}", parameters=0), [])
        assert refused.value.sqlstate == "42501"


def test_group__take_as_the_application__is_held_by_the_tenants_fence(house):
    other = make_house("enterprise")
    connection = HotConnection()
    admit(connection, house.key, ip=None, permission="events:write")
    statement = Statement(
        "taken",
        "SELECT billing_usage_take($1::uuid[], $1::uuid[], '{NULL}', '{x}', '{x}', '{x}', '{x}',"
        " '{NULL}', '{NULL}', NULL, NULL)",
        parameters=1,
    )

    with pytest.raises(StatementError) as refused:
        connection.row(statement, [array([other.id])])

    assert refused.value.sqlstate == "42501"


def test_group__leaves_the_same_figures_as_singles(house, queue):
    grouped, single = define(house.id, "MAX"), define(house.id, "MAX")
    values = [5, "7.25", -3, None, "x", 2]
    queue.start(house)

    futures = [queue.add(house, event(grouped.slug, sent)) for sent in values]
    queue.go()
    assert all(future.result(PATIENCE) for future in futures)
    for sent in values:
        report(house.id, event(single.slug, sent))

    assert rollups(grouped) == rollups(single)


def test_group__draws_from_every_tenants_own_quota(queue):
    houses = [make_house("basic") for _ in range(2)]
    for house in houses:
        limit(house, 100)
    queue.start(houses[0])

    futures = [queue.add(house, quantity(7 + place)) for place, house in enumerate(houses)]
    queue.go()

    assert all(future.result(PATIENCE) for future in futures)
    assert [value(house)["usage"] for house in houses] == [7, 8]


def quantity(number: int) -> dict[str, Any]:
    return event("processed_units", at=datetime.now(UTC), data={"quantity": number})


def test_group__of_the_operator__finds_tenants_by_subject_or_none(house):
    queue = Queue(group_of_operator())
    facts = {"tenant_id": None, "by_operator": True}
    strange = word()
    sent = [event(word(), subject=s) for s in (house.slug, house.public_id, strange)]
    queue.start(house)

    futures = [queue.add(house, one, alias="staff", **facts) for one in sent]
    queue.go()

    assert all(future.result(PATIENCE) for future in futures)
    rows = {row[0]: row for row in ledger(*(one["id"] for one in sent))}
    assert [rows[one["id"]][1] for one in sent] == [house.id, house.id, None]
    assert len({row[4] for row in rows.values()}) == 1
    queue.close()


def test_group__nobody_else_there__is_one_statement_of_its_own(house, queue):
    single = queue.single(house, event(word()))
    connection = queue.connection(0)
    calls = connection.calls

    assert queue.group.take(single, connection) is True

    assert connection.calls == calls + 1
    assert not queue.group.busy
