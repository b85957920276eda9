"""Single events that arrive together: one commit, each its own answer, no tenant another's."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from billing.usage.cloudevents import Event, decode
from billing.usage.literals import array
from billing.usage.services.grouping import WAY, Arrival, Door, Single, take_together
from kernel import db
from kernel.errors import Invalid
from kernel.gate import projection
from kernel.gate.admission import admit
from kernel.gate.company import Caller
from kernel.gate.keys import TENANT, mint
from kernel.gate.presented import credential
from kernel.gate.wire import HotConnection, Statement, StatementError, release
from kernel.ids import new_id
from tests.billing.entitlements.quotas import limit, value
from tests.billing.house import House, make_house, make_key, staff
from tests.billing.usage.reports import as_staff, define, event, report, rollups, total, word
from tests.waiting import until

PATIENCE = 20.0


class Held(HotConnection):
    """A connection whose statements wait for ``let_go``, once ``hold`` was called."""

    def __init__(self) -> None:
        super().__init__()
        self._failing = ""
        self._open_now = threading.Event()
        self._open_now.set()

    def hold(self) -> None:
        self._open_now.clear()

    def let_go(self) -> None:
        self._open_now.set()

    def fail_once(self, name: str) -> None:
        """Let the next such statement fail as PostgreSQL's refusals do: the connection closes."""
        self._failing = name

    def row(self, statement: Statement, values: Any) -> Any:
        assert self._open_now.wait(PATIENCE)
        if self._failing == statement.name:
            self._failing = ""
            self.close()
            raise StatementError("XX000", "as the test wished")
        return super().row(statement, values)


class Queue:
    """A door with an event under way that is held up, so that those sent next gather."""

    def __init__(self) -> None:
        self.connection = Held()
        self.door = Door(self.connection)
        self._pool = ThreadPoolExecutor(16)

    def start(self, house: House) -> "Future[Arrival]":
        """Send the event that all others wait for."""
        known(house.key)
        self.connection.hold()
        future = self._send(arrival(house.key, event(word())))
        until("the queue stands so", lambda: self.door.gathered.waiting(WAY) == 0)
        return future

    def add(self, key: str, sent: dict[str, Any] | None) -> "Future[Arrival]":
        """Send an event from another thread; give what becomes of it, which is still to come."""
        place = (self.door.gathered.waiting(WAY) or 0) + 1
        future = self._send(arrival(key, sent))
        until("the queue stands so", lambda: self.door.gathered.waiting(WAY) == place)
        return future

    def _send(self, one: Arrival) -> "Future[Arrival]":
        def enter() -> Arrival:
            try:
                self.door.enter(one)
                return one
            finally:
                release()

        return self._pool.submit(enter)

    def go(self) -> None:
        self.connection.let_go()

    def close(self) -> None:
        self.go()
        self._pool.shutdown()
        self.connection.close()


def arrival(key: str, sent: dict[str, Any] | None) -> Arrival:
    presented = credential(key)
    assert presented is not None
    return Arrival(key, Caller(presented, "127.0.0.1"), None if sent is None else read(sent))


def read(sent: dict[str, Any]) -> Event:
    return decode(json.dumps(sent).encode(), "application/json")[0]


def known(*keys: str) -> None:
    """Use keys once: the first use of a day is admitted alone."""
    connection = HotConnection()
    for key in keys:
        assert admit(connection, key, ip=None, permission="events:write").code == "VALID"
    connection.close()


def known_house(plan: str = "enterprise") -> House:
    made = make_house(plan)
    known(made.key)
    return made


def codes(futures: "list[Future[Arrival]]") -> list[str]:
    found = [future.result(PATIENCE) for future in futures]
    return [one.admission.code if one.admission else "" for one in found]


def news(futures: "list[Future[Arrival]]") -> list[bool]:
    return [future.result(PATIENCE).new for future in futures]


def used(house: House) -> int:
    with db.use_alias("owner"):
        ((found,),) = db.rows("SELECT used FROM gate.counter WHERE subject = $1", [house.id])
    return int(found)


@pytest.fixture
def queue() -> Iterator[Queue]:
    made = Queue()
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
    other = known_house()
    meters = {house.id: define(house.id), other.id: define(other.id)}
    first = queue.start(house)
    sent = [(h, event(meters[h.id].slug, 5)) for h in (house, other, other)]

    futures = [queue.add(whose.key, what) for whose, what in sent]
    queue.go()

    assert news([first, *futures]) == [True] * 4
    rows = ledger(*(what["id"] for _, what in sent))
    assert len({row[4] for row in rows}) == 1
    assert {row[0]: row[1] for row in rows} == {what["id"]: whose.id for whose, what in sent}
    assert all(row[1] == row[2] for row in rows)
    assert total(house.id, meters[house.id]) == 5
    assert total(other.id, meters[other.id]) == 10


def test_group__admits_and_writes_in_two_statements(house, queue):
    first = queue.start(house)
    calls = queue.connection.calls
    futures = [queue.add(house.key, event(word())) for _ in range(5)]
    queue.go()

    assert codes([first, *futures]) == ["VALID"] * 6
    assert queue.connection.calls == calls + 2 + 2
    assert used(house) == 1 + 6


def test_group__keeps_the_key_that_was_presented(house, queue):
    another = make_key(house.id)
    known(another)
    queue.start(house)
    sent = [event(word()) for _ in range(2)]

    futures = [queue.add(key, one) for key, one in zip((house.key, another), sent, strict=True)]
    queue.go()

    found = [future.result(PATIENCE) for future in futures]
    kept = {row[0]: row[3] for row in ledger(*(one["id"] for one in sent))}
    assert [kept[one["id"]] for one in sent] == [one.admission.key_id for one in found]
    assert len(set(kept.values())) == 2


def test_group__same_event_from_two_callers__is_new_for_one(house, queue):
    meter = define(house.id)
    sent, fresh = event(meter.slug, 3), event(meter.slug, 4)
    queue.start(house)

    futures = [queue.add(house.key, one) for one in (sent, sent, fresh, sent)]
    queue.go()

    assert sorted(news(futures)) == [False, False, True, True]
    assert futures[2].result().new
    assert total(house.id, meter) == 7


def test_group__event_that_cannot_be_kept__fails_alone(house, queue):
    meter = define(house.id)
    queue.start(house)

    good = [queue.add(house.key, event(meter.slug, 1)) for _ in range(2)]
    bad = queue.add(house.key, event(meter.slug, data={"value": "a\0b"}))
    good.append(queue.add(house.key, event(meter.slug, 1)))
    queue.go()

    assert news(good) == [True] * 3
    assert isinstance(bad.result(PATIENCE).fault, Invalid)
    assert total(house.id, meter) == 3
    assert used(house) == 1 + 5


@pytest.mark.parametrize("statement", ["gate_admit_many", "usage_ingest_group"])
def test_group__statement_fails__everyone_goes_on_alone(house, queue, statement):
    other = known_house()
    meters = {house.id: define(house.id), other.id: define(other.id)}
    queue.start(house)
    senders = [other, house, other]
    futures = [queue.add(one.key, event(meters[one.id].slug, 1)) for one in senders]

    queue.connection.fail_once(statement)
    queue.go()

    assert news(futures) == [True] * 3
    assert (total(house.id, meters[house.id]), total(other.id, meters[other.id])) == (1, 2)
    assert (used(house), used(other)) == (1 + 2, 1 + 2)


def test_group__its_connection_is_gone__is_written_on_another(house, queue):
    meter = define(house.id)
    queue.start(house).cancel()
    queue.go()
    until("the first is through", lambda: queue.door.gathered.waiting(WAY) is None)
    queue.start(house)
    futures = [queue.add(house.key, event(meter.slug, 1)) for _ in range(3)]

    ending = Statement("ending", "SELECT pg_terminate_backend($1::int, 5000)", parameters=1)
    bystander = HotConnection()
    bystander.row(ending, [str(queue.connection.backend).encode()])
    bystander.close()
    queue.go()

    assert news(futures) == [True] * 3
    assert total(house.id, meter) == 3


def test_group__somebody_waits_for_a_lock__nobody_else_does(house, queue):
    other = known_house()
    meter = define(other.id)
    queue.start(house)
    stuck = event(word())
    futures = [queue.add(house.key, stuck), queue.add(other.key, event(meter.slug, 1))]

    with as_staff(), db.atomic(), db.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(billing_usage_lock(%s, %s, %s))",
            [house.id, stuck["type"], stuck["time"]],
        )
        queue.go()
        assert futures[1].result(PATIENCE).new is True
        assert ledger(stuck["id"]) == []

    assert total(other.id, meter) == 1


def test_group__somebodys_counter_is_locked__nobody_else_waits(house, queue):
    other = known_house()
    queue.start(house)
    sent = event(word())
    futures = [queue.add(house.key, event(word())), queue.add(other.key, sent)]

    with db.use_alias("owner"), db.atomic(), db.cursor() as cursor:
        cursor.execute("SELECT FROM gate.counter WHERE subject = %s FOR UPDATE", [house.id])
        queue.connection.let_go()
        assert futures[1].result(PATIENCE).new is True
        assert len(ledger(sent["id"])) == 1

    assert used(other) == 1 + 1


def test_group__whoever_is_refused__has_its_own_answer_and_writes_nothing(house, queue):
    poor = make_key(house.id, permissions=("events:read",))
    unknown = mint(TENANT).text
    suspended = known_house()
    with staff(), db.atomic():
        projection.put_tenant(suspended.id, "suspended")
    queue.start(house)
    sent = [event(word()) for _ in range(5)]
    keys = [house.key, poor, unknown, suspended.key, house.key]

    futures = [queue.add(key, one) for key, one in zip(keys, sent, strict=True)]
    queue.go()

    refusals = ["INSUFFICIENT_PERMISSIONS", "NOT_FOUND", "TENANT_SUSPENDED"]
    assert codes(futures) == ["VALID", *refusals, "VALID"]
    assert [row[0] for row in ledger(*(one["id"] for one in sent))] == [
        sent[0]["id"],
        sent[4]["id"],
    ]
    assert (used(house), used(suspended)) == (1 + 3, 1)


def test_group__more_than_the_limit__admits_as_many_as_are_left(queue):
    small, large = make_house("enterprise"), known_house()
    with staff(), db.atomic():
        projection.put_limits(small.id, daily=5, burst=None, features=[])
    key = make_inheriting_key(small)
    queue.start(large)
    sent = [event(word()) for _ in range(8)]

    futures = [queue.add(key, one) for one in sent]
    free = [queue.add(large.key, event(word())) for _ in range(3)]
    queue.go()

    assert sorted(codes(futures)) == ["LIMITED"] * 3 + ["VALID"] * 5
    assert news(free) == [True] * 3
    taken = [one["id"] for one, future in zip(sent, futures, strict=True) if future.result().new]
    assert sorted(row[0] for row in ledger(*(one["id"] for one in sent))) == sorted(taken)
    assert (len(taken), used(small), used(large)) == (5, 5, 2 + 4)


def make_inheriting_key(house: House) -> str:
    minted, key_id = mint(TENANT), new_id()
    with staff(), db.atomic():
        projection.put_credential(
            minted,
            key_id=key_id,
            lineage=key_id,
            tenant_id=house.id,
            permissions=["events:write"],
        )
    return minted.text


def test_group__what_came_is_no_event__its_sender_is_counted_all_the_same(house, queue):
    queue.start(house)
    futures = [queue.add(house.key, None), queue.add(house.key, event(word()))]
    queue.go()

    assert codes(futures) == ["VALID", "VALID"]
    assert news(futures) == [False, True]
    assert used(house) == 1 + 3


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


@pytest.mark.parametrize("aggregation", ["MAX", "LATEST", "COUNT", "UNIQUE_COUNT"])
def test_group__leaves_the_same_figures_as_singles(house, queue, aggregation):
    groups = {"group_by": {"who": "$.who"}}
    grouped, single = (define(house.id, aggregation, **groups) for _ in range(2))
    sent = [
        {"value": number, "who": who}
        for number, who in ((5, "a"), ("7.25", "b"), (-3, "a"), (None, "a"), ("x", "b"), (2, "b"))
    ]
    queue.start(house)

    futures = [queue.add(house.key, event(grouped.slug, data=data)) for data in sent]
    queue.go()
    assert all(news(futures))
    for data in sent:
        report(house.id, event(single.slug, data=data))

    assert rollups(grouped) == rollups(single)
    assert values(grouped) == values(single)


def values(meter: Any) -> list[tuple[Any, ...]]:
    with as_staff():
        return db.rows(
            "SELECT tenant_id, bucket, subject, groups, value FROM billing_usage_value"
            " WHERE meter_id = $1 ORDER BY 1, 2, 3, 4, 5",
            [meter.id],
        )


def test_group__draws_from_every_tenants_own_quota(queue):
    houses = [known_house("basic") for _ in range(2)]
    for house in houses:
        limit(house, 100)
    queue.start(houses[0])

    futures = [queue.add(house.key, quantity(7 + place)) for place, house in enumerate(houses)]
    queue.go()

    assert all(news(futures))
    assert [value(house)["usage"] for house in houses] == [7, 8]


def quantity(number: int) -> dict[str, Any]:
    return event("processed_units", at=datetime.now(UTC), data={"quantity": number})


def test_operators_events__together__find_tenants_by_subject_or_none(house):
    connection = HotConnection("staff")
    strange = word()
    sent = [event(word(), subject=s) for s in (house.slug, house.public_id, strange)]
    facts = {"tenant_id": None, "by_operator": True, "key_id": None, "connection": connection}
    singles = [Single(read(one), facts) for one in sent]

    take_together(singles)
    take_together([Single(read(sent[0]), facts)])

    assert [single.new for single in singles] == [True] * 3
    rows = {row[0]: row for row in ledger(*(one["id"] for one in sent))}
    assert [rows[one["id"]][1] for one in sent] == [house.id, house.id, None]
    assert len({row[4] for row in rows.values()}) == 1
    connection.close()


def test_group__nobody_else_there__is_two_statements_on_the_doors_own_connection(house, queue):
    known(house.key)
    one = arrival(house.key, event(word()))

    queue.door.enter(one)

    assert one.new
    assert queue.connection.calls == 2
    assert queue.door.gathered.waiting(WAY) is None
