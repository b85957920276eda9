"""Assigning plans: history, audit, event, and what the gate then enforces."""

import threading

import pytest

from audit.models import Event
from billing.subscriptions.models import Subscription
from billing.subscriptions.queries import current_subscription, plan_keys
from billing.subscriptions.services import assign
from kernel import db
from kernel.errors import Invalid
from tests.billing.house import make_house, staff

pytestmark = pytest.mark.usefixtures("database")


def gate_row(tenant_id):
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(
            "SELECT daily_limit, burst_interval_us, burst_depth, features, entitlement_version"
            " FROM gate.tenant WHERE tenant_id = %s",
            [tenant_id],
        )
        return cursor.fetchone()


@pytest.mark.parametrize(
    ("plan", "daily", "interval", "depth"),
    [
        ("basic", 1_000, 50_000, 40),
        ("professional", 10_000, 10_000, 200),
        ("enterprise", None, 1_000, 2_000),
    ],
)
def test_assign__new_tenant__tells_the_gate_the_plans_limits(plan, daily, interval, depth):
    house = make_house(plan)

    assert gate_row(house.id)[:3] == (daily, interval, depth)


def test_assign__new_tenant__tells_the_gate_every_granted_feature_and_no_other():
    house = make_house("professional")

    assert sorted(gate_row(house.id)[3]) == [
        "api_requests",
        "audit_export",
        "audit_retention_days",
        "custom_roles",
        "export_formats",
        "processed_units",
        "seats",
        "support_level",
        "webhook_endpoints",
        "webhook_events",
    ]


def test_assign__another_plan__closes_the_old_subscription_where_the_new_one_starts():
    house = make_house("basic")

    with staff():
        assign(house.id, "enterprise")
        rows = list(Subscription.objects.filter(tenant_id=house.id).order_by("starts_at"))

    assert [row.ends_at for row in rows] == [rows[1].starts_at, None]
    assert gate_row(house.id)[0] is None


def test_assign__the_same_plan__changes_and_records_nothing():
    house = make_house("basic")
    before = gate_row(house.id)

    with staff():
        current = current_subscription(house.id)
        assert assign(house.id, "basic") == current

    assert gate_row(house.id) == before


def test_assign__unknown_plan__is_refused_and_changes_nothing():
    house = make_house("basic")

    with staff(), pytest.raises(Invalid) as refused:
        assign(house.id, "platinum")

    assert refused.value.errors[0].pointer == "/plan"
    with staff():
        assert plan_keys([house.id]) == {house.id: "basic"}


def test_assign__another_plan__leaves_one_audit_entry_with_both_plans():
    house = make_house("basic")

    with staff():
        assign(house.id, "professional")
        entries = Event.objects.filter(tenant_id=house.id, action="subscription.changed")
        leaves = [bytes(entry.leaf) for entry in entries.order_by("id")]

    assert len(leaves) == 2
    assert b'"plan":"basic"' in leaves[1]
    assert b'"plan":"professional"' in leaves[1]


def test_assign__sixteen_at_once__leaves_one_current_subscription_and_no_gap():
    house = make_house("basic")
    plans = ["professional", "enterprise"] * 8
    failures = []

    def work(plan):
        with staff():
            try:
                assign(house.id, plan)
            except Exception as error:  # noqa: BLE001 - collected and asserted on
                failures.append(error)
            finally:
                db.connection().close()

    threads = [threading.Thread(target=work, args=[plan]) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    with staff():
        rows = list(Subscription.objects.filter(tenant_id=house.id).order_by("starts_at"))
    assert [row.ends_at for row in rows] == [*(row.starts_at for row in rows[1:]), None]
