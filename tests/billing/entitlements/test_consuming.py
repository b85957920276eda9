"""Consumes that arrive together: one transaction, and each its own decision, answer and key."""

import threading
from contextlib import contextmanager

import pytest
from django.test import Client
from django.urls import resolve

from billing.api.quotas import CONSUME_ROUTE
from billing.entitlements.services import consuming
from kernel import db
from kernel.gate import quota
from kernel.tenancy import tenant_context
from tests.billing.entitlements.quotas import limit, metered, value
from tests.billing.house import make_house, make_key, staff
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("database")

LIMIT = 100
OPERATOR = None
"""The key under which consumes of the operator's keys gather."""


@pytest.fixture(scope="module")
def platform(session_database):
    session_database.ensure()
    return make_key()


@pytest.fixture
def house():
    return limited()


def limited():
    house = make_house("basic")
    limit(house, LIMIT)
    return house


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Let calls wait for as long as a slow machine may take to bring them together."""
    for name in ("_TOGETHER_WAIT", "_ALONE_WAITS", "_LONGEST"):
        monkeypatch.setattr(consuming, name, b"30s")


class Callers:
    """Consumes in threads of their own, one after the other at the door."""

    def __init__(self, gathered_by):
        self.gathered_by = gathered_by
        self.answers = {}
        self.threads = []

    def send(self, name, key, house, quantity, idempotency_key=None):
        before = consuming._together.waiting(self.gathered_by)
        asked = (name, key, house, quantity, idempotency_key)
        thread = threading.Thread(target=self._ask, args=asked)
        self.threads.append(thread)
        thread.start()
        expected = 0 if before is None else before + 1
        until(
            f"{name} is at work or waits",
            lambda: consuming._together.waiting(self.gathered_by) == expected,
        )

    def _ask(self, name, key, house, quantity, idempotency_key):
        named = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        answer = Client().post(
            f"/api/v1/customers/{house.slug}/entitlements/processed_units/consume",
            {"quantity": quantity},
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}", **named},
        )
        self.answers[name] = answer

    def join(self):
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()

    def status(self, name):
        return self.answers[name].status_code


@contextmanager
def held(house):
    """Keep a tenant's quota to ourselves, as a guarded use that has not committed does."""
    taken, free = threading.Event(), threading.Event()

    def hold():
        with staff(), tenant_context(house.id), db.atomic():
            quota.check(house.id, "processed_units", 0)
            taken.set()
            assert free.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(30)
    try:
        yield
    finally:
        free.set()
        thread.join(30)


def transactions(house):
    """The quantities of a tenant's uses by the transaction that wrote them."""
    with staff():
        rows = db.rows(
            "SELECT xid::text, (data ->> 'quantity')::int FROM billing_usage_event"
            " WHERE tenant_id = $1::uuid AND source = $2::text",
            [house.id, consuming.CONSUMED],
        )
    found = {}
    for xid, quantity in rows:
        found.setdefault(xid, []).append(quantity)
    return sorted(sorted(amounts) for amounts in found.values())


def test_consume__several_at_once__are_one_transaction_with_an_answer_each(house, platform):
    other = limited()
    callers = Callers(OPERATOR)
    with held(house):
        callers.send("first", platform, house, 10)
        callers.send("fits", platform, house, 60, f"fits-{house.slug}")
        callers.send("does not", platform, house, 50, f"does-not-{house.slug}")
        callers.send("other", platform, other, 5)
        callers.send("rest", platform, house, 30)
        callers.send("same key", platform, house, 60, f"fits-{house.slug}")
    callers.join()

    assert {name: callers.status(name) for name in callers.answers} == {
        "first": 200, "fits": 200, "does not": 409, "other": 200, "rest": 200, "same key": 409,
    }  # fmt: skip
    used = {n: callers.answers[n].json()["used"] for n in ("first", "fits", "rest", "other")}
    assert used == {"first": 10, "fits": 70, "rest": 100, "other": 5}
    assert callers.answers["does not"].json()["code"] == "quota_exceeded"
    assert callers.answers["does not"].json()["extensions"]["used"] == "70"
    assert callers.answers["same key"].json()["code"] == "idempotency_in_progress"
    assert transactions(house) == [[10], [30, 60]]
    assert (metered(house), metered(other)) == (100, 5)

    again = Callers(OPERATOR)
    again.send("fits", platform, house, 60, f"fits-{house.slug}")
    again.join()
    assert again.answers["fits"].content == callers.answers["fits"].content
    assert again.answers["fits"].headers["Idempotent-Replayed"] == "true"
    assert value(house)["usage"] == 100


def test_consume__several_of_a_tenants_key__are_one_transaction(house):
    callers = Callers(house.id)
    with held(house):
        for place in range(4):
            callers.send(place, house.key, house, 10 + place, f"k{place}")
    callers.join()

    assert {callers.status(place) for place in range(4)} == {200}
    assert transactions(house) == [[10], [11, 12, 13]]


def test_consume__one_of_several_has_to_wait_long__holds_up_nobody(house, platform, monkeypatch):
    monkeypatch.setattr(consuming, "_TOGETHER_WAIT", b"50ms")
    slow, other = limited(), limited()
    callers = Callers(OPERATOR)
    with held(slow):
        with held(house):
            callers.send("first", platform, house, 1)
            callers.send("slow", platform, slow, 2)
            callers.send("other", platform, other, 3)
        until("the other one is answered", lambda: "other" in callers.answers)
        assert "slow" not in callers.answers
    callers.join()

    assert {callers.status(name) for name in ("first", "slow", "other")} == {200}
    assert [metered(one) for one in (house, slow, other)] == [1, 2, 3]


def test_consume__no_window_is_open__is_opened_for_one_of_several_too(house, platform):
    stale = limited()
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute("DELETE FROM gate.quota WHERE tenant_id = %s", [stale.id])
    callers = Callers(OPERATOR)
    with held(house):
        callers.send("first", platform, house, 1)
        callers.send("stale", platform, stale, 2)
        callers.send("late", platform, house, 3)
    callers.join()

    assert {callers.status(name) for name in callers.answers} == {200}
    assert callers.answers["stale"].json()["limit"] == LIMIT
    assert metered(stale) == 2


def test_route__of_idempotency_keys__is_the_one_that_django_names(house):
    path = f"/api/v1/customers/{house.slug}/entitlements/processed_units/consume"

    assert resolve(path).route == CONSUME_ROUTE
