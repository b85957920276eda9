"""What a pruning announces: ranges of places, as sets and as a signed text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.c2sp.errors import FormatError
from audit.pruning import ranges
from audit.pruning.statement import Statement, parse_statement

SETS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6)


@given(SETS, SETS)
def test_ranges__as_sets__add_and_subtract(one: list, other: list) -> None:
    def places(some: list) -> set[int]:
        return {place for first, past in some for place in range(first, past)}

    joined, rest = ranges.union(one, other), ranges.without(one, other)
    assert places(list(joined)) == places(one) | places(other)
    assert places(list(rest)) == places(one) - places(other)
    assert ranges.count(joined) == len(places(list(joined)))
    for place in range(42):
        assert ranges.covers(rest, place) == (place in places(list(rest)))


def test_statement__written__is_read_back_and_nothing_else_is() -> None:
    made = Statement("log.example/1", 9, b"\x01" * 32, ((0, 4), (6, 9)))
    assert parse_statement(made.text()) == made
    for wrong in ("0 4\n4 9", "6 9\n0 4", "0 10", "0 04", "4 4", ""):
        text = "\n".join([*made.text().split("\n")[:4], wrong, ""])
        with pytest.raises(FormatError):
            parse_statement(text.replace("\n\n", "\n"))
