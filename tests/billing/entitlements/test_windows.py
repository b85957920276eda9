"""Windows changed in sets: as one by one, under no more locks than a change needs."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.catalog.models import Feature, Kind
from billing.catalog.queries import feature_fact
from billing.entitlements.services import grants, project
from billing.entitlements.services.grants import NewGrant
from kernel import db
from kernel.gate import changes
from kernel.gate.burn import Reset, Segment
from kernel.gate.changes import Window
from kernel.ids import new_id
from kernel.tenancy import tenant_context
from tests.billing.entitlements.quotas import metered_feature
from tests.billing.entitlements.test_grant_races import (
    consumer,
    entitle,
    give,
    in_threads,
    now,
    standing,
)
from tests.billing.house import change_of, make_house, staff

pytestmark = pytest.mark.usefixtures("database")

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
_LOCKED = "SELECT gate.lock_quotas(%s, %s, clock_timestamp())"


def at(hour):
    return T0 + hour * HOUR


def windows_of(spans, key):
    """Cut one feature's windows that do not overlap: lengths with gaps, each plain or burning."""
    start = 0
    for gap, length, limit, used, burns in spans:
        start += gap
        end = start + length
        segment = Segment(Decimal(limit), at(start), at(end), Reset.DROP) if burns else None
        window = Window(key, key, at(start), at(end), Decimal(limit), segment=segment)
        yield replace(window, used=Decimal(used))
        start = end


def put(tenant_id, windows):
    changes.put_grants(
        tenant_id, daily=None, burst=None, features=(), windows=windows, changes=(), burns=None
    )


def stored(tenant_id, keys):
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(
            "SELECT array_position(%s, q.feature_key), q.window_start, q.window_end, q.hard_limit,"
            " q.burns, q.issued, q.reset, coalesce(sum(u.used), 0)"
            " FROM gate.quota q LEFT JOIN gate.quota_use u USING (tenant_id, feature_key,"
            " window_start) WHERE q.tenant_id = %s AND q.feature_key = ANY (%s)"
            " GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2",
            [keys, tenant_id, keys],
        )
        return cursor.fetchall()


spans = st.lists(
    st.tuples(
        st.integers(0, 6), st.integers(1, 8), st.integers(0, 9), st.integers(0, 3), st.booleans()
    ),
    min_size=1,
    max_size=5,
)
turns = st.lists(st.tuples(spans, spans), min_size=1, max_size=4)


class Model:
    """What one window after the other does to those of a feature, by their start."""

    def __init__(self):
        self.rows = {}

    def put(self, window):
        stands = self.rows.get(window.start)
        burns = window.segment is not None
        facts = [window.hard_limit, burns, window.hard_limit if burns else None, int(burns)]
        if stands is not None and stands[0] == window.end:
            self.rows[window.start] = [window.end, *facts, stands[-1]]
            return
        self.rows = {
            start: [min(row[0], window.start) if start < window.start else row[0], *row[1:]]
            for start, row in self.rows.items()
            if not window.start <= start < window.end
        }
        self.rows[window.start] = [window.end, *facts, window.used]


@pytest.fixture(scope="module")
def tenant_id(session_database):
    session_database.ensure()
    return make_house("basic").id


@given(turns)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_put_quotas__many_at_once__leave_what_one_by_one_would(tenant_id, drawn):
    keys = [f"w{new_id().hex}", f"w{new_id().hex}"]
    models = {key: Model() for key in keys}

    with staff():
        for both in drawn:
            windows = [
                window
                for key, mine in zip(keys, both, strict=True)
                for window in windows_of(mine, key)
            ]
            put(tenant_id, windows)
            for window in windows:
                models[window.feature].put(window)

    expected = [
        (place, start, *row)
        for place, key in enumerate(keys, start=1)
        for start, row in sorted(models[key].rows.items())
    ]
    assert stored(tenant_id, keys) == expected


def versions(house):
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(
            "SELECT feature_key, window_start, ctid::text FROM gate.quota WHERE tenant_id = %s"
            " ORDER BY 1, 2",
            [house.id],
        )
        return cursor.fetchall()


def test_project__nothing_changed__writes_no_window():
    house = make_house("basic")
    before = versions(house)

    with staff():
        project(house.id)

    assert versions(house) == before != []


def give_within(house, key, milliseconds):
    """Grant something in a transaction that waits for no lock longer than so."""
    with staff(), db.atomic():
        with db.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {milliseconds}")
        grants.give(house.id, key, NewGrant(amount=Decimal(5), effective_at=now()))


def test_grant__guarded_use_of_another_meter_under_way__does_not_wait():
    house, key = make_house("basic"), metered_feature()
    with staff():
        fact = feature_fact(key)
    entitle(house, fact, 10)

    with db.use_alias("owner"), db.atomic():
        with db.cursor() as cursor:
            cursor.execute(_LOCKED, [house.id, "processed_units"])
        give_within(house, key, 20_000)

    assert standing(house, fact).balance == 15


def test_grant__guarded_use_of_its_meter_under_way__waits():
    house, key = make_house("basic"), metered_feature()
    with staff():
        fact = feature_fact(key)
    entitle(house, fact, 10)

    with db.use_alias("owner"), db.atomic():
        with db.cursor() as cursor:
            cursor.execute(_LOCKED, [house.id, key])
        with pytest.raises(OperationalError, match="lock timeout"):
            give_within(house, key, 50)

    assert standing(house, fact).balance == 10


def test_consume__two_features_of_a_meter_granted_and_projected_at_once__is_exact():
    """Every change of one feature meets guarded use of both on the locks of the meter."""
    house, key = make_house("basic"), metered_feature()
    second = f"{key}b"
    with staff(), change_of("feature"):
        Feature(key=second, name=second, kind=Kind.METERED, meter=key).save()
    with staff():
        first, other = feature_fact(key), feature_fact(second)
    entitle(house, first, 20)
    entitle(house, other, 500)
    failures = []

    def guarded(work):
        try:
            work()
        except Exception as error:  # noqa: BLE001 - collected and asserted on
            failures.append(error)
        finally:
            db.connection().close()

    def projecting():
        for _ in range(6):
            with staff():
                project(house.id)
            with tenant_context(house.id):
                project(house.id)

    works = [
        lambda: [give(house, first, 5) for _ in range(4)],
        lambda: [give(house, other, 1) for _ in range(4)],
        projecting,
    ]
    changing = [threading.Thread(target=guarded, args=[work]) for work in works]
    for thread in changing:
        thread.start()
    taken = in_threads(house, 4, consumer(house, first, 16, stop_when_refused=False))
    for thread in changing:
        thread.join()

    assert failures == []
    assert standing(house, first).used == standing(house, other).used == sum(taken)
    assert sum(taken) <= 40
    assert standing(house, first).overage == 0
    assert standing(house, first).balance == 40 - sum(taken)
    assert standing(house, other).balance == 504 - sum(taken)
