"""Grants under concurrency: no edge, reset or expiry lets a unit more through."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.catalog.models.recurrence import Cadence
from billing.catalog.queries import feature_fact
from billing.entitlements.errors import QuotaUsedUpError
from billing.entitlements.models import EntitlementType
from billing.entitlements.services import entitlements, grants, use
from billing.entitlements.services.entitlements import NewEntitlement
from billing.entitlements.services.grants import NewGrant
from kernel import db
from kernel.gate import quota
from kernel.ids import decode
from kernel.tenancy import tenant_context
from tests.billing.entitlements.quotas import metered_feature
from tests.billing.house import call, make_house, staff

pytestmark = pytest.mark.usefixtures("database")

ONE = Decimal(1)
_CHECK_AND_USE = """
SELECT c.exceeded, CASE WHEN NOT c.exceeded
         THEN gate.add_usage(ARRAY[t.id], ARRAY[t.meter], ARRAY[c.at], ARRAY[1::numeric])::text END
  FROM (SELECT %s::uuid AS id, %s AS meter) AS t, gate.check_quota(t.id, t.meter, 1, NULL) AS c
"""


@pytest.fixture(scope="module")
def feature(session_database):
    session_database.ensure()
    key = metered_feature()
    with staff():
        return feature_fact(key)


@pytest.fixture
def house():
    return make_house("basic")


def now():
    return datetime.now(UTC)


def entitle(house, feature, issue=None, **facts):
    with staff():
        return entitlements.create(
            house.id,
            NewEntitlement(
                type=EntitlementType.METERED,
                feature=feature.key,
                cadence=Cadence.parse("MONTH"),
                issue=None if issue is None else Decimal(issue),
                **facts,
            ),
        )


def give(house, feature, amount, **facts):
    facts.setdefault("effective_at", now())
    with staff():
        return grants.give(house.id, feature.key, NewGrant(amount=Decimal(amount), **facts))


def standing(house, feature):
    with staff():
        return quota.standings(house.id, now(), feature=feature.key)[feature.key]


def expire(grant, seconds):
    """Let a grant end soon: an expiry is an hour away at least."""
    with staff():
        return grants.void(grant.tenant_id, grant.id, now() + timedelta(seconds=seconds)).voided_at


def until(instant):
    """Wait for the database's clock to pass an instant."""
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        with staff(), db.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp() > %s", [instant])
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    pytest.fail("the clock stands still")


def in_threads(house, count, work) -> list[Decimal]:
    """Let many threads take units until nothing is left; give what each took."""
    taken, failures = [], []

    def guarded(number):
        mine = Decimal(0)
        try:
            with tenant_context(house.id):
                for amount in work(number):
                    mine += amount
        except Exception as error:  # noqa: BLE001 - collected and asserted on
            failures.append(error)
        finally:
            taken.append(mine)
            db.connection().close()

    threads = [threading.Thread(target=guarded, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    return taken


def consumer(house, feature, turns, *, stop_when_refused=True):
    def work(number) -> Iterator[Decimal]:
        for _ in range(turns):
            try:
                use.consume(house.id, feature, ONE)
            except QuotaUsedUpError:
                if stop_when_refused:
                    return
                continue
            yield ONE

    return work


def test_consume__sixteen_threads_at_the_edge_of_grants__take_exactly_what_is_there(house, feature):
    entitle(house, feature, 40)
    give(house, feature, 30, priority=0)
    give(house, feature, 25, priority=2)

    taken = in_threads(house, 16, consumer(house, feature, 20))

    stands = standing(house, feature)
    assert sum(taken) == 95
    assert (stands.used, stands.balance, stands.overage) == (95, 0, 0)


def test_consume__while_the_first_grants_come__never_overshoots(house, feature):
    """The lock that segments share appears while others wait without it."""
    entitle(house, feature, 10)
    giving = threading.Thread(target=lambda: [give(house, feature, 5) for _ in range(4)])
    giving.start()

    taken = in_threads(house, 6, consumer(house, feature, 12, stop_when_refused=False))

    giving.join()
    stands = standing(house, feature)
    assert stands.used == sum(taken)
    assert stands.overage == 0
    assert stands.used + stands.balance == 30


def test_consume__during_resets__loses_and_doubles_nothing(house, feature):
    entitle(house, feature, 15)
    done = threading.Event()
    resets = []

    def reset():
        for _ in range(3):
            with staff():
                resets.append(entitlements.reset(house.id, feature.key, retain_anchor=True).at)
        done.set()
        db.connection().close()

    def work(number) -> Iterator[Decimal]:
        for _ in range(60):
            if done.is_set():
                return
            try:
                use.consume(house.id, feature, ONE)
            except QuotaUsedUpError:
                continue
            yield ONE

    resetting = threading.Thread(target=reset)
    resetting.start()
    taken = in_threads(house, 4, work)
    resetting.join()

    since = f"{now() - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    path = f"v2/customers/{house.slug}/entitlements/{feature.key}/history"
    history = call(house.key, "GET", f"{path}?windowSize=DAY&from={since}")
    segments = history["burndownHistory"]
    assert len(segments) == len(resets) + 1
    assert sum(one["usage"] for one in segments) == sum(taken)
    assert all(one["usage"] <= 15 and one["overage"] == 0 for one in segments)


def test_reserve__while_its_grant_ends__keeps_what_it_holds(house, feature):
    """A hold belongs to the instant at which it was taken: the grant of then covers it."""
    entitle(house, feature, 3)
    ending = give(house, feature, 10, priority=0)
    with tenant_context(house.id):
        held = use.reserve(house.id, feature, Decimal(6), timedelta(seconds=60))
    expire(ending, 0)

    with tenant_context(house.id):
        with pytest.raises(QuotaUsedUpError):
            use.consume(house.id, feature, Decimal(4))
        use.consume(house.id, feature, Decimal(3))
        used = use.commit(house.id, feature, decode(use.HOLD_PREFIX, held.id), None, "")

    stands = standing(house, feature)
    assert used.quantity == 6
    assert (stands.used, stands.balance, stands.overage) == (9, 0, 0)


def test_commit__of_more_than_was_held__does_not_take_what_was_used_since(house, feature):
    entitle(house, feature, 5)
    ending = give(house, feature, 10, priority=0)
    with tenant_context(house.id):
        held = use.reserve(house.id, feature, Decimal(10), timedelta(seconds=60))
    expire(ending, 0)

    hold = decode(use.HOLD_PREFIX, held.id)
    with tenant_context(house.id):
        use.consume(house.id, feature, Decimal(4))
        with pytest.raises(QuotaUsedUpError):
            use.commit(house.id, feature, hold, Decimal(12), "")
        use.commit(house.id, feature, hold, Decimal(11), "")

    stands = standing(house, feature)
    assert (stands.used, stands.balance, stands.overage) == (15, 0, 0)


def test_consume__across_the_end_of_a_grant__takes_each_unit_once(house, feature):
    entitle(house, feature, 20)
    ends = expire(give(house, feature, 400, priority=0), 1.0)

    def work(number) -> Iterator[Decimal]:
        while True:
            late = now() > ends + timedelta(seconds=0.5)
            try:
                use.consume(house.id, feature, ONE)
            except QuotaUsedUpError:
                if late:
                    return
                continue
            yield ONE

    taken = in_threads(house, 4, work)

    stands = standing(house, feature)
    assert stands.used == sum(taken)
    assert (stands.balance, stands.overage) == (0, 0)


def test_grant__effective_later__is_usable_from_its_instant(house, feature):
    entitle(house, feature)
    starts = now() + timedelta(seconds=1)
    give(house, feature, 2, effective_at=starts)
    early = Decimal(0)
    with tenant_context(house.id), suppress(QuotaUsedUpError):
        use.consume(house.id, feature, ONE)
        early = ONE
    assert early == 0 or now() > starts
    until(starts)

    with tenant_context(house.id):
        use.consume(house.id, feature, Decimal(2) - early)
        with pytest.raises(QuotaUsedUpError):
            use.consume(house.id, feature, ONE)


def test_soft_limit__is_never_refused_and_shows_overage(house, feature):
    entitle(house, feature, 2, soft=True, preserve_overage=True)

    with tenant_context(house.id):
        use.consume(house.id, feature, Decimal(5))
    with staff():
        entitlements.reset(house.id, feature.key)

    stands = standing(house, feature)
    assert (stands.used, stands.balance, stands.overage) == (0, 0, 1)


def test_gate__two_thousand_concurrent_checks_and_uses__never_overshoot(house, feature):
    """The drill `python -m bench.usage consumes` in small, and at the gate alone."""
    entitle(house, feature, 500)
    give(house, feature, 300, priority=0)
    give(house, feature, 200, priority=2)

    def work(number) -> Iterator[Decimal]:
        with db.cursor() as cursor:
            for _ in range(125):  # each statement is a transaction
                cursor.execute(_CHECK_AND_USE, [house.id, feature.meter])
                if not cursor.fetchone()[0]:
                    yield ONE

    taken = in_threads(house, 16, work)

    stands = standing(house, feature)
    assert sum(taken) == stands.used == 1000
    assert (stands.balance, stands.overage) == (0, 0)
