"""Feature values: typed on the way in, one stored form."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.catalog.models.values import (
    UNLIMITED,
    Allowance,
    Interval,
    Kind,
    quantity,
    read,
    write,
)
from kernel.errors import Invalid


@pytest.mark.parametrize(
    ("kind", "raw", "options", "expected"),
    [
        (Kind.BOOLEAN, False, {}, False),
        (Kind.NUMBER, 5, {"minimum": 1}, 5),
        (Kind.NUMBER, 2**53 - 1, {}, 2**53 - 1),
        (Kind.NUMBER, {"unlimited": True}, {}, UNLIMITED),
        (Kind.ENUM, "priority", {"values": ["priority"]}, "priority"),
        (Kind.JSON, {"a": [1]}, {}, {"a": [1]}),
        (Kind.METERED, {"limit": 10}, {}, Allowance(Decimal(10))),
        (
            Kind.METERED,
            {"limit": "0.5", "soft": True, "period": "day"},
            {},
            Allowance(Decimal("0.5"), Interval.DAY, True),
        ),
        (Kind.METERED, {"unlimited": True, "period": "year"}, {}, Allowance(None, Interval.YEAR)),
    ],
)
def test_read__value_of_its_kind__is_typed(kind, raw, options, expected):
    assert read(kind, raw, options) == expected


@pytest.mark.parametrize(
    ("kind", "raw", "options", "pointer"),
    [
        (Kind.BOOLEAN, 1, {}, "/value"),
        (Kind.NUMBER, True, {}, "/value"),
        (Kind.NUMBER, -1, {}, "/value"),
        (Kind.NUMBER, 1.0, {}, "/value"),
        (Kind.NUMBER, 2**53, {}, "/value"),
        (Kind.NUMBER, {"unlimited": False}, {}, "/value"),
        (Kind.ENUM, "gold", {"values": ["silver"]}, "/value"),
        (Kind.ENUM, ["silver"], {"values": ["silver"]}, "/value"),
        (Kind.JSON, [1], {}, "/value"),
        (Kind.JSON, {"a": "x" * 16_384}, {}, "/value"),
        (Kind.METERED, 5, {}, "/value"),
        (Kind.METERED, {}, {}, "/value/limit"),
        (Kind.METERED, {"limit": None}, {}, "/value/limit"),
        (Kind.METERED, {"limit": -1}, {}, "/value/limit"),
        (Kind.METERED, {"limit": 1, "unlimited": False}, {}, None),
        (Kind.METERED, {"limit": 1, "period": "hour"}, {}, "/value/period"),
        (Kind.METERED, {"limit": 1, "soft": 0}, {}, "/value/soft"),
        (Kind.METERED, {"limit": 1, "cap": 2}, {}, "/value"),
    ],
)
def test_read__wrong_value__is_refused_at_its_place(kind, raw, options, pointer):
    if pointer is None:
        assert read(kind, raw, options) == Allowance(Decimal(1))
        return
    with pytest.raises(Invalid) as refused:
        read(kind, raw, options)

    assert [error.pointer for error in refused.value.errors] == [pointer]


@pytest.mark.parametrize("raw", ["NaN", "inf", "1e20", "0.0000000000001", "", "ten", True, None])
def test_quantity__no_finite_amount__is_refused(raw):
    with pytest.raises(Invalid):
        quantity(raw, "/quantity")


def test_quantity__float__keeps_the_digits_that_were_written():
    assert quantity(0.1, "/quantity") == Decimal("0.1")


amounts = st.decimals(0, 10**15, places=12)
allowances = st.builds(
    Allowance, st.none() | amounts, st.sampled_from(list(Interval)), st.booleans()
).map(lambda a: Allowance(None, a.period) if a.limit is None else a)


@given(allowances)
def test_write__any_allowance__reads_back_equal(allowance):
    assert read(Kind.METERED, write(allowance), {}) == allowance
