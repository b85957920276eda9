"""The shipped catalogue holds exactly the figures that the plans promise."""

import pytest

from billing.catalog.models.shipped import SOURCE, load
from kernel.errors import Invalid


@pytest.mark.parametrize(
    ("key", "daily", "rate", "depth"),
    [
        ("basic", 1_000, 20, 40),
        ("professional", 10_000, 100, 200),
        ("enterprise", None, 1_000, 2_000),
    ],
)
def test_plan__shipped__has_the_required_limits(key, daily, rate, depth):
    plan = {plan.key: plan for plan in load().plans}[key]

    assert (plan.daily_requests, plan.daily_webhooks) == (daily, daily)
    assert (plan.burst_rate, plan.burst_depth) == (rate, depth)


def test_plans__shipped__are_three_and_grant_every_feature_that_is_no_limit_of_the_plan():
    shipped = load()
    wanted = {feature.key for feature in shipped.features if not feature.plan_limit}

    assert [plan.key for plan in shipped.plans] == ["basic", "professional", "enterprise"]
    assert all(set(plan.grants) == wanted for plan in shipped.plans)


def test_tiers__shipped__span_50k_to_5m_without_a_gap():
    tiers = load().tiers

    assert [tier.lower for tier in tiers] == [0, 50_000, 250_000, 1_000_000, 5_000_000]
    assert [tier.upper for tier in tiers] == [50_000, 250_000, 1_000_000, 5_000_000, None]


def changed(tmp_path, old, new):
    text = SOURCE.read_text()
    assert old in text
    path = tmp_path / "catalog.toml"
    path.write_text(text.replace(old, new, 1))
    return path


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('key = "seats"', 'key = "Seats"', ValueError),
        ("from = 50_000", "from = 60_000", ValueError),
        ("from = 5_000_000", "from = 5_000_000\nto = 6_000_000", ValueError),
        ('plan = "basic"', 'plan = "bronze"', ValueError),
        ("seats = 5\n", "seats = 0\n", Invalid),
        ("seats = 5\n", "chairs = 5\n", KeyError),
        ("daily_requests = 1_000\n", "daily_requests = { unlimited = false }\n", ValueError),
    ],
)
def test_load__broken_catalogue__is_refused(tmp_path, old, new, error):
    with pytest.raises(error):
        load(changed(tmp_path, old, new))
