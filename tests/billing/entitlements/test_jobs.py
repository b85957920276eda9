"""Quota windows are opened before they run out, and forgotten long after they ended."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.entitlements.jobs import AHEAD, keep_windows, project_tenant
from kernel import db
from kernel.gate import quota
from tests.billing.entitlements.quotas import value
from tests.billing.house import call, make_house, staff

pytestmark = pytest.mark.usefixtures("database")


def windows(house, feature="processed_units"):
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(
            "SELECT window_end FROM gate.quota WHERE tenant_id = %s AND feature_key = %s"
            " ORDER BY window_start",
            [house.id, feature],
        )
        return [row[0] for row in cursor.fetchall()]


def keep_only(house, count, feature="processed_units"):
    """Leave the tenant its first windows only, as if time had passed."""
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(
            "DELETE FROM gate.quota WHERE tenant_id = %s AND feature_key = %s"
            " AND window_end > (SELECT window_end FROM gate.quota WHERE tenant_id = %s"
            " AND feature_key = %s ORDER BY window_end OFFSET %s LIMIT 1)",
            [house.id, feature, house.id, feature, count - 1],
        )


def requested():
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute("SELECT payload FROM kernel_outbox WHERE name = 'job.requested'")
        return [str(row[0]) for row in cursor.fetchall()]


def test_keep_windows__last_one_about_to_end__asks_for_more_for_that_tenant_only():
    short, fine = make_house(), make_house()
    keep_only(short, 2, "webhook_events")
    assert windows(short, "webhook_events")[-1] < datetime.now(UTC) + AHEAD

    with staff():
        keep_windows.function()

    jobs = requested()
    assert any(str(short.id) in job for job in jobs)
    assert not any(str(fine.id) in job for job in jobs)


def test_project_tenant__windows_missing__opens_them_and_keeps_the_use():
    house = make_house()
    path = f"v1/customers/{house.slug}/entitlements/processed_units/consume"
    call(house.key, "POST", path, {"quantity": 3})
    keep_only(house, 1)

    with staff():
        project_tenant.function(tenant_id=str(house.id))

    assert len(windows(house)) == 3
    assert value(house)["usage"] == 3


def test_forget__windows_that_ended_before__are_gone_and_running_ones_stay():
    house = make_house()
    before = windows(house)
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(
            "INSERT INTO gate.quota (tenant_id, feature_key, window_start, window_end, meter)"
            " VALUES (%s, 'processed_units', '2020-01-01', '2020-02-01', 'processed_units')",
            [house.id],
        )

    with staff():
        gone = quota.forget(datetime.now(UTC) - timedelta(days=400))

    assert gone >= 1
    assert windows(house) == before


def test_jobs__app_role__may_not_ask_across_tenants():
    with pytest.raises(Exception, match="permission denied"):
        quota.tenants_running_out(datetime.now(UTC))
