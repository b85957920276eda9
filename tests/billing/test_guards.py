"""What a plan, a subscription or an override says never changes without a trace, whoever asks."""

from decimal import Decimal

import pytest
from django.db import IntegrityError

from audit.services import audited, record
from billing.actions import FEATURE_CREATED, OVERRIDE_GRANTED
from billing.catalog.queries import feature_by_key
from billing.entitlements.models import Override
from kernel import db
from kernel.ids import new_id
from kernel.tenancy import tenant_context
from tests.billing.entitlements.quotas import limit
from tests.billing.house import make_house, staff

pytestmark = pytest.mark.usefixtures("database")

GUARDED = {
    "billing_feature",
    "billing_override",
    "billing_plan",
    "billing_plan_feature",
    "billing_plan_version",
    "billing_revenue_tier",
    "billing_subscription",
}
UNAUDITED = "needs an audit entry"


def run(sql, *values):
    with db.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.rowcount


@pytest.fixture
def house():
    return make_house("basic")


def test_guards__tables_that_decide_what_tenants_get__all_have_one():
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text FROM pg_trigger"
            " WHERE tgname = 'require_audit' AND tgenabled = 'A' AND tgdeferrable"
        )
        found = {row[0] for row in cursor.fetchall()}

    assert found >= GUARDED


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE billing_feature SET name = 'mine' WHERE key = 'seats'",
        "INSERT INTO billing_plan (id, key, name, description, created_at)"
        " VALUES (uuidv7(), 'mine', 'Mine', '', now())",
        "UPDATE billing_plan SET archived_at = now() WHERE key = 'basic'",
        "INSERT INTO billing_plan_version"
        " (id, plan_id, number, monthly_price, currency, created_at)"
        " SELECT uuidv7(), id, 999, 0, 'USD', now() FROM billing_plan WHERE key = 'basic'",
        "UPDATE billing_revenue_tier SET name = 'mine' WHERE key = 'starter'",
    ],
)
def test_catalogue__raw_change_without_an_entry__fails_at_commit(change):
    with staff(), pytest.raises(IntegrityError, match=UNAUDITED), db.atomic():
        assert run(change) == 1


def test_plan_feature__of_an_unpublished_version__fails_at_commit_too():
    with (
        staff(),
        pytest.raises(IntegrityError, match=r"billing_plan_(feature|version)"),
        db.atomic(),
    ):
        version = new_id()
        run(
            "INSERT INTO billing_plan_version"
            " (id, plan_id, number, monthly_price, currency, created_at)"
            " SELECT %s, id, 998, 0, 'USD', now() FROM billing_plan WHERE key = 'basic'",
            version,
        )
        run(
            "INSERT INTO billing_plan_feature (id, version_id, feature_id, value)"
            " SELECT uuidv7(), %s, id, '1' FROM billing_feature WHERE key = 'seats'",
            version,
        )


def test_subscription__raw_change_as_the_app__fails_at_commit(house):
    with tenant_context(house.id), pytest.raises(IntegrityError, match=UNAUDITED), db.atomic():
        assert run("UPDATE billing_subscription SET ends_at = now() + interval '1 day'") == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE billing_override SET paused = true",
        "UPDATE billing_override SET value = '{\"unlimited\": true}'",
        "DELETE FROM billing_override",
    ],
)
def test_override__raw_change_of_staff__fails_at_commit(house, change):
    limit(house, 5)

    with staff(), pytest.raises(IntegrityError, match=UNAUDITED), db.atomic():
        assert run(f"{change} WHERE tenant_id = %s", house.id) == 1

    with staff():
        kept = Override.objects.get(tenant_id=house.id)
    assert (kept.paused, Decimal(kept.value["limit"])) == (False, 5)


def test_override__entry_about_another_noun_or_tenant__does_not_count(house):
    limit(house, 5)
    other = make_house("basic")

    for facts in (
        {"target_type": "subscription", "tenant_id": house.id},
        {"target_type": "override", "tenant_id": other.id},
    ):
        with staff(), pytest.raises(IntegrityError, match=UNAUDITED), audited():
            record(action=OVERRIDE_GRANTED.name, target_id="x", **facts)
            run("UPDATE billing_override SET paused = true WHERE tenant_id = %s", house.id)


def test_feature__change_with_its_entry__commits():
    with staff():
        feature = feature_by_key("seats")
        with audited():
            record(action=FEATURE_CREATED.name, target_type="feature", target_id="seats")
            run("UPDATE billing_feature SET name = name WHERE id = %s", feature.id)
