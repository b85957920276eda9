"""Plans in the database: seeded exactly, immutable once published, newest version on offer."""

import pytest
from django.db import DatabaseError, IntegrityError
from django.utils import timezone

from billing.catalog.models import Feature, Kind, Plan, PlanFeature, PlanVersion, RevenueTier
from billing.catalog.models.shipped import load
from billing.catalog.queries import (
    content_of,
    newest_version_id,
    plans_on_offer,
    revenue_tier,
)
from kernel import db
from kernel.errors import Invalid
from kernel.ids import new_id
from kernel.tenancy import across_tenants, tenant_context
from tests.billing.house import change_of, staff

pytestmark = pytest.mark.usefixtures("database")


def make_plan(*, published=True, **grants):
    """Make a plan with one version that grants metered allowances or other values by key."""
    with change_of("plan"):
        plan = Plan.objects.create(key=f"p_{new_id().hex}", name="Test")
        version = PlanVersion.objects.create(
            plan=plan, number=1, daily_requests=10, monthly_price=1
        )
        for key, value in grants.items():
            feature = Feature.objects.get(key=key)
            PlanFeature.objects.create(version=version, feature=feature, value=value)
        if published:
            version.published_at = timezone.now()
            version.save()
    return version


def test_seed__database__holds_the_shipped_catalogue():
    shipped = load()
    with staff():
        plans = {plan.key: plan for plan in plans_on_offer() if plan.key in ("basic", "enterprise")}
        tiers = list(RevenueTier.objects.values_list("key", "lower", "upper", "plan__key"))

    assert plans["basic"].daily_requests == 1_000
    assert plans["basic"].burst.rate == 20
    assert plans["enterprise"].daily_webhooks is None
    assert tiers == [(tier.key, tier.lower, tier.upper, tier.plan) for tier in shipped.tiers]


@pytest.mark.parametrize(
    ("yearly", "key"),
    [(0, "starter"), (49_999, "starter"), (50_000, "small"), (4_999_999, "large"),
     (5_000_000, "strategic"), (10**12, "strategic")],
)  # fmt: skip
def test_revenue_tier__yearly_revenue__is_the_half_open_class_that_holds_it(yearly, key):
    with staff():
        assert revenue_tier(yearly).key == key


@pytest.mark.parametrize(
    "change",
    [
        lambda version: PlanVersion.objects.filter(id=version.id).update(daily_requests=11),
        lambda version: PlanVersion.objects.filter(id=version.id).update(published_at=None),
        lambda version: version.features.update(value=6),
        lambda version: version.features.all().delete(),
        lambda version: PlanFeature.objects.create(
            version=version, feature=Feature.objects.get(key="sso"), value=True
        ),
        lambda version: PlanVersion.objects.filter(id=version.id).delete(),
    ],
)
@pytest.mark.parametrize("alias", ["staff", "owner"])
def test_version__published__refuses_every_change_whoever_asks(change, alias):
    with staff():
        version = make_plan(seats=5)

    with (
        db.use_alias(alias),
        across_tenants(),
        pytest.raises(DatabaseError, match="is published"),
        db.atomic(),
    ):
        change(version)

    with staff():
        assert content_of(version.id).grants == {"seats": 5}


def test_version__draft__can_change_and_is_not_on_offer():
    with staff():
        version = make_plan(published=False, seats=5)
        with change_of("plan"):
            version.features.update(value=6)
        key = version.plan.key

        with pytest.raises(Invalid):
            newest_version_id(key)
        assert key not in {plan.key for plan in plans_on_offer()}


def test_version__newer_one_published__is_what_tenants_get():
    with staff():
        first = make_plan(seats=5)
        with change_of("plan"):
            second = PlanVersion.objects.create(
                plan=first.plan, number=2, published_at=timezone.now()
            )

        assert newest_version_id(first.plan.key) == second.id


@pytest.mark.parametrize(
    "facts",
    [
        {"key": "Upper", "kind": Kind.BOOLEAN},
        {"key": "two__marks", "kind": Kind.BOOLEAN},
        {"key": "no_meter", "kind": Kind.METERED},
        {"key": "odd_kind", "kind": "colour"},
        {"key": "not_metered", "kind": Kind.NUMBER, "meter": "api_requests"},
        {"key": "taken", "kind": Kind.METERED, "meter": "m", "plan_limit": "daily_requests"},
    ],
)
def test_feature__breaking_a_rule__is_refused_by_the_database(facts):
    with staff(), pytest.raises(IntegrityError, match="violates"), db.atomic():
        Feature.objects.create(name="x", **facts)


def test_catalogue__app_role__may_read_and_not_write():
    with tenant_context(new_id()):
        assert Plan.objects.filter(key="basic").exists()
        with pytest.raises(DatabaseError):
            Plan.objects.filter(key="basic").update(name="Mine")
