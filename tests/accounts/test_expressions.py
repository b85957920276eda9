"""Permission expressions to alternatives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.expressions import MAX_ALTERNATIVES, all_of, alternatives
from kernel.errors import Invalid

NAMES = ["a:a", "b:b", "c:c"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:a", {("a:a",)}),
        ("a:a AND b:b", {("a:a", "b:b")}),
        ("a:a OR b:b AND c:c", {("a:a",), ("b:b", "c:c")}),
        ("(a:a OR b:b) AND c:c", {("a:a", "c:c"), ("b:b", "c:c")}),
        ("((a:a))", {("a:a",)}),
        ("a:a AND a:a", {("a:a",)}),
    ],
)
def test_alternatives__expression__expanded(text, expected):
    assert set(alternatives(text)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "AND", "a:a AND", "(a:a", "a:a)", "a:a b:b", "a:*", "nonsense", "a:a OR OR b:b", "()"],
)
def test_alternatives__malformed__refused_with_pointer(text):
    with pytest.raises(Invalid) as raised:
        alternatives(text)
    assert raised.value.errors[0].pointer == "/permissions"


def test_alternatives__parentheses_upon_parentheses__refused():
    with pytest.raises(Invalid, match="deep"):
        alternatives("(" * 900 + "a:a" + ")" * 900)


def test_alternatives__explosion__refused():
    text = " AND ".join(["(a:a OR b:b)"] * 7)
    with pytest.raises(Invalid, match=str(MAX_ALTERNATIVES)):
        alternatives(text)


def test_all_of__name_and_more__refused():
    with pytest.raises(Invalid):
        all_of(("a:a\n",))


def test_all_of__names__one_alternative():
    assert all_of(("a:a", "b:b")) == (("a:a", "b:b"),)


TREES = st.recursive(
    st.sampled_from(NAMES),
    lambda inner: st.tuples(st.sampled_from(["AND", "OR"]), inner, inner),
    max_leaves=5,
)


def written(tree):
    return tree if isinstance(tree, str) else f"({written(tree[1])} {tree[0]} {written(tree[2])})"


def holds(tree, granted):
    if isinstance(tree, str):
        return tree in granted
    left, right = holds(tree[1], granted), holds(tree[2], granted)
    return (left and right) if tree[0] == "AND" else (left or right)


@given(TREES, st.sets(st.sampled_from(NAMES)))
def test_alternatives__any_tree__means_the_same(tree, granted):
    found = alternatives(written(tree))
    assert any(set(names) <= granted for names in found) == holds(tree, granted)
