"""Filters in the spellings that callers use."""

import pytest

from billing.usage.filters import LONGEST, Condition, advanced, read_advanced, read_simple
from kernel.errors import Invalid


@pytest.mark.parametrize(
    "text",
    [
        "{'model': 'gpt-4'}",
        '{"model": "gpt-4"}',
        "{'model': ['gpt-4']}",
        '{"model": ["gpt-4"]}',
    ],
)
def test_read_simple__dict_repr_or_json__is_the_same(text):
    assert read_simple(text) == {"model": ["gpt-4"]}


@pytest.mark.parametrize("value", ["it's", 'say "hi"', "back\\slash", "a'b\"c", "ü\n", "{}"])
def test_read_simple__repr_of_any_text__comes_back(value):
    assert read_simple(str({"k": value})) == {"k": [value]}


@pytest.mark.parametrize(
    "text",
    ["", "x", "[1]", "{'a': 1}", "{1: 'a'}", "{'a': {'b': 'c'}}", "__import__('os')", "{'a': f()}"],
)
def test_read_simple__anything_else__is_refused(text):
    with pytest.raises(Invalid):
        read_simple(text)


def test_read_simple__too_long__is_refused():
    with pytest.raises(Invalid, match="too long"):
        read_simple("{'a': '" + "x" * LONGEST + "'}")


def test_advanced__nested_operators__become_sql_with_parameters():
    condition = advanced({"m": {"$or": [{"$like": "gpt%"}, {"$nin": ["a", "b"]}]}})["m"]
    parameters: dict = {}

    sql = condition.sql("c", parameters)

    assert sql == "(c LIKE %(filter0)s OR c <> ALL (%(filter1)s))"
    assert parameters == {"filter0": "gpt%", "filter1": ["a", "b"]}


def test_advanced__several_operators__all_hold():
    assert advanced({"m": {"$gt": "a", "$lt": "c"}})["m"] == Condition(
        "$and", inner=(Condition("$gt", ("a",)), Condition("$lt", ("c",)))
    )


@pytest.mark.parametrize(
    "read",
    [
        [],
        {"m": {}},
        {"m": "x"},
        {"m": {"$regex": "x"}},
        {"m": {"$eq": 5}},
        {"m": {"$in": "x"}},
        {"m": {"$and": []}},
        {"m": {"$eq": ["x"]}},
    ],
)
def test_advanced__unknown_operator_or_value__is_refused(read):
    with pytest.raises(Invalid):
        advanced(read)


def test_advanced__too_deep__is_refused():
    nested: dict = {"$eq": "x"}
    for _ in range(20):
        nested = {"$and": [nested]}

    with pytest.raises(Invalid):
        advanced({"m": nested})


@pytest.mark.parametrize("text", ["{", "[" * 9_000, "{}" * LONGEST])
def test_read_advanced__no_json__is_refused(text):
    with pytest.raises(Invalid):
        read_advanced(text)
