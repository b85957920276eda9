"""Identifiers: sortable, reversible, strict."""

import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import ids


def test_new_id__version_7_of_now__sorts_by_time():
    first = ids.new_id()
    time.sleep(0.002)  # the clock part has whole milliseconds
    second = ids.new_id()
    assert (first.version, first.variant) == (7, uuid.RFC_4122)
    assert abs((first.int >> 80) - time.time() * 1000) < 5_000
    assert first < second


@given(st.uuids())
def test_encode__any_uuid__decodes_to_itself(value):
    text = ids.encode("ten", value)
    assert len(text) == 30
    assert ids.decode("ten", text) == value


@given(st.uuids(), st.uuids())
def test_encode__two_uuids__keep_their_order(left, right):
    assert (left < right) == (ids.encode("x", left) < ids.encode("x", right))


@pytest.mark.parametrize(
    "text",
    ["", "ten_", "key_" + "0" * 26, "ten_" + "0" * 25, "ten_" + "U" * 26, "ten_" + "z" * 26],
)
def test_decode__anything_else__is_no_id(text):
    with pytest.raises(ids.InvalidIdError):
        ids.decode("ten", text)
    assert ids.read("ten", text) is None
