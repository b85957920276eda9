"""Canonical bytes against the rfc8785 package, and commitments."""

import hmac
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from audit.encoding.canonical import EncodingRefusedError, encode
from audit.encoding.commitment import Opening, commit, commitment, opens
from audit.encoding.plain import plain, timestamp

keys = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5)
)


@given(documents)
def test_encode__any_document_of_the_subset__equals_rfc8785(document: object) -> None:
    assert encode(document) == rfc8785.dumps(document)


@pytest.mark.parametrize(
    "document",
    [
        1.0,
        {"a": 0.1},
        {"a": [{"b": 2**53}]},
        -(2**53),
        {"é": 1},
        {"a\n": 1},
        {"": 1},
        {1: "a"},
        "\ud800",
        {"a": "\udfff"},
        b"bytes",
        (1, 2),
        {"a": Decimal(1)},
    ],
)
def test_encode__outside_the_subset__is_refused(document: object) -> None:
    with pytest.raises(EncodingRefusedError):
        encode(document)


def test_encode__control_and_wide_characters__known_bytes() -> None:
    assert encode({"b": 'é\u0001"\\\n', "a": [True, None, -1]}) == (
        '{"a":[true,null,-1],"b":"é\\u0001\\"\\\\\\n"}'.encode()
    )


def test_encode__deeper_than_orjson_goes__is_written_all_the_same() -> None:
    deep: list[object] = []
    for _ in range(300):
        deep = [deep]
    assert encode(deep) == b"[" * 301 + b"]" * 301


class Text(str):
    """No plain text, though it equals one."""

    __slots__ = ()


@pytest.mark.parametrize("document", [Text("a"), {Text("a"): 1}, {"a": Text("a")}, [Text("a")]])
def test_encode__subclass_of_text__is_refused(document: object) -> None:
    with pytest.raises(EncodingRefusedError):
        encode(document)


class Colour(StrEnum):
    RED = "red"


def test_plain__model_values__become_texts() -> None:
    zone = timezone(timedelta(hours=2))
    assert plain(
        {
            "Id": UUID(int=5),
            "at": datetime(2026, 1, 2, 3, 4, 5, 6, zone),
            "money": Decimal("1.50"),
            "big": 2**60,
            "colour": Colour.RED,
            "tags": {"b", "a"},
            "pair": (1, False),
            "odd": {"é": 1},
        }
    ) == {
        "Id": "00000000-0000-0000-0000-000000000005",
        "at": "2026-01-02T01:04:05.000006Z",
        "money": "1.50",
        "big": "1152921504606846976",
        "colour": "red",
        "tags": ["a", "b"],
        "pair": [1, False],
        "odd": [{"key": "é", "value": 1}],
    }


@pytest.mark.parametrize("value", [0.5, object(), b"x", datetime(2026, 1, 1)])  # noqa: DTZ001 - naive on purpose
def test_plain__no_certain_text__is_refused(value: object) -> None:
    with pytest.raises(EncodingRefusedError):
        plain(value)


def test_timestamp__utc__has_microseconds() -> None:
    assert timestamp(datetime(2026, 5, 6, tzinfo=UTC)) == "2026-05-06T00:00:00.000000Z"


def test_commitment__known_answer__is_hmac_over_path_and_value() -> None:
    # printf 'changes.after.email\0ann@example.org' | openssl dgst -sha256 -mac HMAC -macopt
    # hexkey:00..0f
    opening = Opening(bytes(range(16)), "ann@example.org")
    assert commitment("changes.after.email", opening) == KNOWN


KNOWN = "c:t4fIksvo2Wj3T2zStyWmC8T2HedbVNpufKWn6jFfR8c"


@given(st.binary(max_size=70), st.text(max_size=80), keys)
def test_commitment__any_salt_and_value__is_the_hmac_of_the_standard_library(
    salt: bytes, value: str, path: str
) -> None:
    message = path.encode() + b"\x00" + value.encode()
    digest = urlsafe_b64encode(hmac.digest(salt, message, "sha256")).rstrip(b"=").decode()
    assert commitment(path, Opening(salt, value)) == f"c:{digest}"


@given(st.text(max_size=40), keys)
def test_commit__any_value__opens_only_itself(value: str, path: str) -> None:
    committed, opening = commit(path, value)
    assert opens(path, committed, opening)
    assert not opens(path + "x", committed, opening)
    assert not opens(path, committed, Opening(opening.salt, value + "x"))
    assert not opens(path, committed, Opening(bytes(16), value))


def test_commit__same_value_twice__gives_two_commitments() -> None:
    assert commit("p", "v")[0] != commit("p", "v")[0]
