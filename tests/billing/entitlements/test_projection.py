"""Quota windows: opened at what was used already, kept over changes, never lost in between."""

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import pytest

from billing.catalog.models.periods import period_at
from billing.catalog.models.values import Interval
from billing.catalog.queries import feature_fact
from billing.entitlements.services import project
from billing.entitlements.services import use as use_service
from billing.subscriptions.services import assign
from billing.usage.cloudevents import Event
from billing.usage.services.ingest import ingest
from kernel import db
from kernel.gate import quota
from kernel.ids import new_id
from kernel.tenancy import tenant_context
from tests.billing.catalog.test_plans import make_plan
from tests.billing.entitlements.quotas import metered, value
from tests.billing.house import call, make_house, staff

pytestmark = pytest.mark.usefixtures("database")

UTC_ZONE = ZoneInfo("UTC")
RAW_ONE = msgspec.Raw(b'{"quantity": 1}')


def use(house, quantity, **facts):
    event = {
        "id": str(new_id()),
        "source": "t",
        "type": "processed_units",
        "subject": "s",
        "data": {"quantity": quantity},
    }
    call(house.key, "POST", "v1/events", event | facts, status=204)


def windows(house):
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(
            "SELECT window_start, window_end FROM gate.quota WHERE tenant_id = %s"
            " AND feature_key = 'processed_units' ORDER BY window_start",
            [house.id],
        )
        return cursor.fetchall()


def test_windows__new_tenant__are_three_months_of_its_zone_without_a_gap():
    house = make_house("basic", timezone="America/New_York")

    found = windows(house)

    assert len(found) == 3
    assert [end for _, end in found[:-1]] == [start for start, _ in found[1:]]
    assert found[0][0] <= datetime.now(UTC) < found[0][1]


def test_plan_with_another_period__running_period__starts_at_what_the_meter_says():
    house = make_house("basic")
    now = datetime.now(UTC)
    today = period_at(Interval.DAY, now, UTC_ZONE).start
    use(house, 5)
    use(house, 7, time=(today - timedelta(hours=1)).isoformat())
    with staff():
        daily = make_plan(processed_units={"limit": "100", "period": "day"})
        assign(house.id, daily.plan.key)

    answer = value(house)

    assert (answer["period"], answer["usage"]) == ("day", 5)
    assert datetime.fromisoformat(answer["periodStart"]) == today


def test_plan_with_another_period_and_back__month__counts_everything_again():
    house = make_house("basic")
    use(house, 5)
    with staff():
        daily = make_plan(processed_units={"limit": "100", "period": "day"})
        assign(house.id, daily.plan.key)
    use(house, 2)
    with staff():
        assign(house.id, "basic")

    assert value(house)["usage"] == 7
    assert value(house)["period"] == "month"


def test_plan_without_the_feature__quota__is_closed_and_opens_again_with_its_use():
    house = make_house("basic")
    use(house, 5)
    with staff():
        assign(house.id, make_plan(seats=5).plan.key)

    assert value(house) == {"hasAccess": False}
    path = f"v1/customers/{house.slug}/entitlements/processed_units/consume"
    call(house.key, "POST", path, {"quantity": 1}, status=409)
    with staff():
        assign(house.id, "basic")
    assert value(house)["usage"] == 5


def test_windows__lost_altogether__are_opened_by_the_next_read_with_what_was_used():
    house = make_house("basic")
    use(house, 5)
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute("DELETE FROM gate.quota WHERE tenant_id = %s", [house.id])

    assert value(house)["usage"] == 5


def test_project__again__changes_neither_windows_nor_use():
    house = make_house("basic")
    use(house, 5)
    before = windows(house)

    with staff():
        project(house.id)

    assert windows(house) == before
    assert value(house)["usage"] == 5


def test_quota__reopened_while_events_come_in__loses_and_doubles_none():
    """Periods change back and forth under use; the quota ends up at the meter's figure."""
    house = make_house("basic")
    with staff():
        daily = make_plan(processed_units={"limit": "1000000", "period": "day"}).plan.key
        feature = feature_fact("processed_units")
    failures, stop = [], threading.Event()

    def ingesting():
        number = 0
        while not stop.is_set():
            number += 1
            event = Event(
                id=f"{threading.get_ident()}-{number}",
                source="race",
                type="processed_units",
                subject="s",
                data=RAW_ONE,
            )
            with tenant_context(house.id), db.atomic():
                ingest([event], tenant_id=house.id)

    def consuming():
        while not stop.is_set():
            with tenant_context(house.id):
                use_service.consume(house.id, feature, Decimal(2))

    def changing():
        with staff():
            for turn in range(12):
                assign(house.id, daily if turn % 2 == 0 else "professional")
        stop.set()

    def guarded(work):
        try:
            work()
        except Exception as error:  # noqa: BLE001 - collected and asserted on
            failures.append(error)
            stop.set()
        finally:
            db.connection().close()

    works = [ingesting, consuming, changing]
    threads = [threading.Thread(target=guarded, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    answer = value(house)
    assert answer["period"] == "month"
    assert Decimal(answer["usageDecimal"]) == metered(house) > 0


def test_gate__another_tenants_quota__is_refused_to_the_app_role():
    house, other = make_house(), make_house()

    with tenant_context(house.id):
        for act in (
            lambda: quota.check(other.id, "processed_units", Decimal(1)),
            lambda: quota.standings(other.id, datetime.now(UTC)),
            lambda: quota.requests_today(other.id),
            lambda: quota.end_hold(other.id, new_id(), "released"),
        ):
            with (
                pytest.raises(Exception, match="is not the tenant of this connection"),
                db.atomic(),
            ):
                act()
