"""Cursors and limits as callers write them."""

import pytest

from kernel.errors import Invalid
from kernel.http.pagination import decode_cursor, encode_cursor, limit_of
from kernel.ids import new_id


@pytest.mark.parametrize(
    ("given", "limit"), [({}, 50), ({"limit": "1"}, 1), ({"limit": "100"}, 100)]
)
def test_limit__whole_number_in_range__is_taken(given, limit):
    assert limit_of(given) == limit


@pytest.mark.parametrize("text", ["", "0", "101", "-1", "1.0", "x", "\u0661", "9" * 5_000])
def test_limit__anything_else__is_refused_at_its_place(text):
    with pytest.raises(Invalid) as refused:
        limit_of({"limit": text})
    assert [fault.pointer for fault in refused.value.errors] == ["/query/limit"]


def test_cursor__of_ours__is_read_back():
    place = new_id()

    assert decode_cursor(encode_cursor(place)) == place


@pytest.mark.parametrize("text", ["", "x", "AAAA", "é" * 22, "A" * 23])
def test_cursor__of_somebody_else__is_refused_at_its_place(text):
    with pytest.raises(Invalid) as refused:
        decode_cursor(text)
    assert [fault.pointer for fault in refused.value.errors] == ["/query/cursor"]
