"""The C2SP formats: known answers of the specifications, round trips, strictness."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit.c2sp.checkpoint import Checkpoint, parse_checkpoint
from audit.c2sp.errors import FormatError
from audit.c2sp.mldsa import Mldsa44Signer
from audit.c2sp.note import Ed25519Signer, Ed25519Verifier, parse, sign, signed_by, split_vkey
from audit.c2sp.proof import TlogProof, parse_proof
from audit.c2sp.tiles import (
    TilePath,
    decode_entries,
    encode_entries,
    number_path,
    parse_tile_path,
    tile_width,
)

ORIGIN = "innkeeper.example/audit/0badc0de"
# The example of golang.org/x/mod/sumdb/note: key, text and signature of another implementation.
PETER_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotp"
    "RZb6KE6RyyBwJnAM=\n"
)


def _signer(name: str = ORIGIN, seed: int = 7) -> Ed25519Signer:
    return Ed25519Signer(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def test_note__of_another_implementation__verifies() -> None:
    name, kind, public = split_vkey(PETER_VKEY)
    assert (name, kind) == ("PeterNeumann", 1)
    assert Ed25519Verifier(name, public).vkey == PETER_VKEY
    assert signed_by(parse(PETER_NOTE), Ed25519Verifier(name, public))
    assert parse(PETER_NOTE).encode() == PETER_NOTE


def test_note__text_changed__is_not_signed() -> None:
    name, _, public = split_vkey(PETER_VKEY)
    other = parse(PETER_NOTE.replace("problem is", "problem was"))
    assert not signed_by(other, Ed25519Verifier(name, public))


def test_note__unknown_keys__are_ignored_and_own_bad_lines_are_not() -> None:
    text = Checkpoint(ORIGIN, 1, bytes(32)).text()
    own, other = _signer(), _signer(seed=8)
    note = sign(text, [own, other])
    assert signed_by(parse(note.encode()), own.verifier)
    good, bad = own.sign(text), own.sign(text + "x")
    assert not signed_by(type(note)(text, (good, bad)), own.verifier)
    assert not signed_by(type(note)(text, (other.sign(text),)), own.verifier)


@pytest.mark.parametrize(
    "text",
    [
        "no signatures\n",
        "text\n\n",
        "text\n\nx name AAAAAAAA\n",
        "text\n\n— name AAAA\n",
        "text\n\n— name AAAAAAA\n",
        "te\txt\n\n— name AAAAAAAAAAA=\n",
        "text\n\n— name AAAAAAAA",
        "text\n\n— name AAAAAAAAAAB=\n",
    ],
)
def test_note__malformed__is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b"])
def test_vkey__odd_name__is_refused(name: str) -> None:
    with pytest.raises(FormatError):
        _ = _signer(name).verifier.vkey


def test_vkey__id_of_another_key__is_refused() -> None:
    with pytest.raises(FormatError):
        split_vkey(PETER_VKEY.replace("c74f20a3", "c74f20a4"))


def test_checkpoint__text__has_exactly_three_lines() -> None:
    checkpoint = Checkpoint(ORIGIN, 20852163, bytes(range(32)))
    assert checkpoint.text() == (
        f"{ORIGIN}\n20852163\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    )
    assert parse_checkpoint(checkpoint.text()) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "o\n01\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "o\n-1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "o\n1\n" + base64.b64encode(bytes(31)).decode() + "\n",
        "\n1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "o\n1\n" + base64.b64encode(bytes(32)).decode(),
        "o\n1\n" + base64.b64encode(bytes(32)).decode() + "\nextension\n",
        "o\n1\n",
    ],
)
def test_checkpoint__malformed__is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_checkpoint(text)


def test_mldsa__signature__covers_origin_size_root_and_time() -> None:
    signer = Mldsa44Signer(ORIGIN, MLDSA44PrivateKey.from_seed_bytes(bytes(32)), 1_790_000_000)
    checkpoint = Checkpoint(ORIGIN, 5, bytes(32))
    signature = signer.sign(checkpoint.text()).signature
    assert len(signature) == 8 + 2420
    assert int.from_bytes(signature[:8], "big") == 1_790_000_000
    assert signer.verifier.verifies(checkpoint.text(), signature)
    for other in (
        Checkpoint(ORIGIN + "x", 5, bytes(32)),
        Checkpoint(ORIGIN, 6, bytes(32)),
        Checkpoint(ORIGIN, 5, b"\x01" * 32),
    ):
        assert not signer.verifier.verifies(other.text(), signature)
    later = (1_790_000_001).to_bytes(8, "big") + signature[8:]
    assert not signer.verifier.verifies(checkpoint.text(), later)
    assert not signer.verifier.verifies(checkpoint.text(), signature[:-1])


def test_note__both_algorithms__each_verifies_alone() -> None:
    ed, ml = _signer(), Mldsa44Signer(ORIGIN, MLDSA44PrivateKey.from_seed_bytes(bytes(32)), 1)
    note = parse(sign(Checkpoint(ORIGIN, 1, bytes(32)).text(), [ed, ml]).encode())
    assert signed_by(note, ed.verifier)
    assert signed_by(note, ml.verifier)


def test_tile_path__specification_example__is_spelled_so() -> None:
    assert number_path(1234067) == "x001/x234/067"
    assert str(TilePath(0, 1234067)) == "tile/0/x001/x234/067"
    assert str(TilePath(None, 0, 5)) == "tile/entries/000.p/5"


@given(st.one_of(st.none(), st.integers(0, 63)), st.integers(0, 10**10), st.integers(1, 256))
def test_tile_path__any__round_trips(level: int | None, index: int, width: int) -> None:
    path = TilePath(level, index, width)
    assert parse_tile_path(str(path).removeprefix("tile/")) == path


@pytest.mark.parametrize(
    "path",
    ["0/0", "0/0000", "00/000", "64/000", "0/x000/001", "0/000.p/0", "0/000.p/256", "0/000.p/01",
     "0/x001", "-1/000", "0/000/", "entries/x000/000", "data/000", "0/1234067", ""],
)  # fmt: skip
def test_tile_path__other_spellings__are_refused(path: str) -> None:
    with pytest.raises(FormatError):
        parse_tile_path(path)


def test_tile_width__by_level__counts_full_subtrees_only() -> None:
    assert [tile_width(70_000, level, 0) for level in range(4)] == [256, 256, 1, 0]
    assert tile_width(70_000, 0, 273) == 70_000 - 273 * 256
    assert tile_width(70_000, 1, 1) == 273 - 256
    assert tile_width(70_000, None, 274) == 0


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_entries__any__round_trip(entries: list[bytes]) -> None:
    assert decode_entries(encode_entries(entries)) == entries


def test_entries__damaged_or_too_long__are_refused() -> None:
    with pytest.raises(FormatError):
        encode_entries([bytes(65_536)])
    for bundle in (b"\x00", b"\x00\x02a", encode_entries([b"ab"]) + b"\x00"):
        with pytest.raises(FormatError):
            decode_entries(bundle)


def test_tlog_proof__text__round_trips_and_is_exact() -> None:
    note = sign(Checkpoint(ORIGIN, 2, bytes(32)).text(), [_signer()]).encode()
    proof = TlogProof(1, (bytes(32),), note)
    assert proof.encode() == (
        "c2sp.org/tlog-proof@v1\nindex 1\n" + base64.b64encode(bytes(32)).decode() + "\n\n" + note
    )
    assert parse_proof(proof.encode()) == proof
    with_extra = TlogProof(0, (), note, b"leaf")
    assert parse_proof(with_extra.encode()) == with_extra


@pytest.mark.parametrize(
    "text",
    ["", "c2sp.org/tlog-proof@v1\nindex 01\n\nx", "c2sp.org/tlog-proof@v1\n\nx",
     "c2sp.org/tlog-proof@v2\nindex 1\n\nx", "c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\nx",
     "c2sp.org/tlog-proof@v1\nindex 1\n" + ("A" * 43 + "=\n") * 64 + "\nx"],
)  # fmt: skip
def test_tlog_proof__malformed__is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_proof(text)
