"""The decision: an override in force, else the plan, else nothing; exact at its boundaries."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from billing.catalog.models.values import UNLIMITED, Allowance, Interval, Kind
from billing.catalog.queries import FeatureFact
from billing.entitlements.models.effective import (
    Effective,
    OverrideFact,
    Snapshot,
    Source,
    add,
    resolve,
)
from billing.entitlements.models.overrides import Mode

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
SEATS = FeatureFact(UUID(int=1), "seats", Kind.NUMBER)
SSO = FeatureFact(UUID(int=2), "sso", Kind.BOOLEAN)


def override(value, mode=Mode.SET, starts=NOON, expires=None):
    return OverrideFact(UUID(int=9), mode, value, starts, expires)


def test_resolve__no_override__gives_the_plans_value():
    assert resolve(SEATS, 5, [], NOON) == Effective(SEATS, 5, Source.PLAN)


def test_resolve__not_in_the_plan__gives_nothing():
    effective = resolve(SSO, None, [], NOON)

    assert (effective.value, effective.source, effective.granted) == (None, Source.NONE, False)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (NOON - TICK, 5),
        (NOON, 7),
        (NOON + timedelta(hours=1) - TICK, 7),
        (NOON + timedelta(hours=1), 5),
    ],
)
def test_resolve__override_with_times__holds_from_its_start_until_just_before_its_expiry(at, value):
    limited = override(7, expires=NOON + timedelta(hours=1))

    assert resolve(SEATS, 5, [limited], at).value == value


def test_resolve__override_decides__names_it_and_its_expiry():
    limited = override(7, expires=NOON + timedelta(hours=1))

    effective = resolve(SEATS, 5, [limited], NOON)

    assert (effective.source, effective.override_id) == (Source.OVERRIDE, UUID(int=9))
    assert effective.expires_at == NOON + timedelta(hours=1)


def test_resolve__override_of_an_allowance__keeps_the_plans_period():
    units = FeatureFact(UUID(int=4), "units", Kind.METERED, "units")
    yearly = override(Allowance(Decimal(9), Interval.YEAR, soft=True))

    value = resolve(units, Allowance(Decimal(5), Interval.MONTH), [yearly], NOON).value

    assert value == Allowance(Decimal(9), Interval.MONTH, soft=True)


def test_resolve__override_sets_false__takes_a_planned_feature_away():
    assert resolve(SSO, True, [override(False)], NOON).granted is False


def test_granted__number_zero__is_a_value():
    assert resolve(SEATS, 0, [], NOON).granted is True


@pytest.mark.parametrize(
    ("planned", "extra", "total"),
    [
        (5, 2, 7),
        (None, 2, 2),
        (UNLIMITED, 2, UNLIMITED),
        (5, UNLIMITED, UNLIMITED),
        (UNLIMITED, UNLIMITED, UNLIMITED),
        (
            Allowance(Decimal(10), Interval.DAY, True),
            Allowance(Decimal("0.5")),
            Allowance(Decimal("10.5"), Interval.DAY, True),
        ),
        (Allowance(None), Allowance(Decimal(1)), Allowance(None)),
        (Allowance(Decimal(1)), Allowance(None), Allowance(None)),
    ],
)
def test_add__numbers_and_allowances__sum_up(planned, extra, total):
    assert add(planned, extra) == total


@pytest.mark.parametrize(("planned", "extra"), [(True, True), ("a", "b"), (5, True), ({}, {})])
def test_add__other_kinds__are_refused(planned, extra):
    with pytest.raises(ValueError, match="cannot be added"):
        add(planned, extra)


def snapshot(overrides=None):
    return Snapshot(
        tenant_id=UUID(int=3),
        slug="acme",
        zone=ZoneInfo("UTC"),
        plan=None,
        features={"sso": SSO, "seats": SEATS},
        planned={"seats": 5},
        overrides=overrides or {},
    )


def test_snapshot__unknown_feature__is_none():
    assert snapshot().effective("sso2", NOON) is None


def test_snapshot__all__lists_every_feature_by_key():
    assert [(e.feature.key, e.value) for e in snapshot().all(NOON)] == [
        ("seats", 5),
        ("sso", None),
    ]


def test_boundary__several_overrides__is_the_first_change_after_the_instant():
    later = override(7, starts=NOON + timedelta(days=2))
    running = override(True, starts=NOON - TICK, expires=NOON + timedelta(days=1))
    facts = snapshot({"seats": (later,), "sso": (running,)})

    assert facts.boundary(NOON) == NOON + timedelta(days=1)
    assert facts.boundary(NOON + timedelta(days=1)) == NOON + timedelta(days=2)
    assert facts.boundary(NOON + timedelta(days=2)) is None
