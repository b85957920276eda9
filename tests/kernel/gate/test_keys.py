"""The key format: what secret scanners match, what a typo does."""

import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.gate import keys


def test_mint__tenant_and_platform__matches_published_expression():
    for kind in (keys.TENANT, keys.PLATFORM):
        for test in (False, True):
            minted = keys.mint(kind, test=test)
            assert re.fullmatch(keys.KEY_EXPRESSION, minted.text)
            assert keys.parse(minted.text) == (minted.public_id, minted.secret)


def test_checksum__any_body__is_crc32_in_base62():
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for body in ("", "ikt_live_x", "ikp_test_zzzz"):
        number, digits = zlib.crc32(body.encode()), ""
        for _ in range(6):
            number, digit = divmod(number, 62)
            digits = alphabet[digit] + digits
        assert keys.checksum(body) == digits


@given(st.integers(0, 66), st.sampled_from("0123456789abcXYZ_"))
def test_parse__one_character_changed__refuses(position, character):
    text = keys.mint(keys.TENANT).text
    changed = text[:position] + character + text[position + 1 :]
    assert changed == text or keys.parse(changed) is None


@pytest.mark.parametrize("text", ["", "ikt_live_", "Bearer x", "ikx_live_" + "0" * 62, "é" * 70])
def test_parse__no_key__refuses(text):
    assert keys.parse(text) is None


def test_macs__two_peppers__newest_first_and_distinct():
    found = keys.macs("secret", {1: b"a" * 32, 2: b"b" * 32})
    assert found == [
        keys.macs("secret", {2: b"b" * 32})[0],
        keys.macs("secret", {1: b"a" * 32})[0],
    ]
    assert found[0] != found[1]
