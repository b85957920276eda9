"""Decoding the bodies of hot routes: a fault of the body is the caller's, whatever it is."""

from typing import Any

import msgspec
import pytest

from kernel.errors import Invalid
from kernel.http.hot import decode

_ANY: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b'{"a": "\\u0000"}',
        b'{"a": \xff}',
        b'{"a":',
    ],
    ids=["past all stack", "past the limit", "U+0000", "no UTF-8", "cut off"],
)
def test_decode__what_nothing_can_keep__is_a_malformed_body(body):
    with pytest.raises(Invalid) as refused:
        decode(_ANY, body)

    assert refused.value.code == "malformed_body"


def test_decode__many_levels_side_by_side__are_read():
    read = decode(_ANY, b'{"a": [' + b'{"b": []},' * 100 + b"{}]}")

    assert len(read["a"]) == 101
