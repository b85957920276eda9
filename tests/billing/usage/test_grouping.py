"""Single events that arrive together: one commit, each its own answer, no tenant another's."""

import pytest

from billing.usage.services.grouping import WAY
from kernel import db
from kernel.errors import Invalid
from kernel.gate import projection
from kernel.gate.keys import TENANT, mint
from kernel.gate.wire import HotConnection, Statement
from kernel.ids import new_id
from tests.billing.house import House, make_house, make_key, staff
from tests.billing.usage.door import (
    PATIENCE,
    arrival,
    codes,
    known,
    known_house,
    ledger,
    news,
    used,
)
from tests.billing.usage.reports import as_staff, define, event, total, word
from tests.waiting import until


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


def test_group__nobody_else_there__is_two_statements_on_the_doors_own_connection(house, queue):
    known(house.key)
    one = arrival(house.key, event(word()))

    queue.door.enter(one)

    assert one.new
    assert queue.connection.calls == 2
    assert queue.door.gathered.waiting(WAY) is None
