"""The tree against the RFC's recursive definitions, and strictness against every kind of damage."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.tree.frontier import Frontier
from audit.tree.hashes import EMPTY_ROOT, leaf_hash
from audit.tree.proofs import TreeError, consistency_proof, inclusion_proof, range_root
from audit.tree.verify import ProofError, check_consistency, check_inclusion
from tests.audit import reference_tree as rfc
from tests.audit.memory_tiles import MemoryTiles, leaves

LIMIT = 600
ALL = leaves(LIMIT)
# Known answers: RFC 6962 empty tree, and the leaf hash of the empty entry.
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
EMPTY_LEAF = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


def test_hashes__known_answers__equal() -> None:
    assert EMPTY_ROOT.hex() == EMPTY
    assert leaf_hash(b"").hex() == EMPTY_LEAF


def test_frontier__every_size_to_600__has_the_rfc_root() -> None:
    frontier = Frontier()
    assert frontier.root() == rfc.mth([])
    for size in range(1, LIMIT + 1):
        frontier.append(ALL[size - 1])
        assert frontier.root() == rfc.mth(ALL[:size])
        assert len(frontier.hashes) == size.bit_count()


def test_frontier__wrong_number_of_hashes__refused() -> None:
    with pytest.raises(ValueError, match="do not fit size 3"):
        Frontier(3, [b"x" * 32])
    with pytest.raises(ValueError, match="32 bytes"):
        Frontier(1, [b"short"])


def test_frontier__stored_and_resumed_at_any_point__gives_the_same_tree() -> None:
    for cut in (0, 1, 255, 256, 257, 511, 599):
        first = Frontier()
        first.extend(ALL[:cut])
        second = Frontier(first.size, list(first.hashes))
        second.extend(ALL[cut:])
        assert second.root() == rfc.mth(ALL)


@pytest.mark.parametrize("size", [*range(1, 40), 255, 256, 257, 258, 511, 512, 513, 600])
def test_inclusion__every_index__equals_path_and_verifies(size: int) -> None:
    tiles = MemoryTiles(ALL[:size])
    root = rfc.mth(ALL[:size])
    for index in range(size):
        found = inclusion_proof(tiles, index, size)
        assert found == rfc.path(index, ALL[:size])
        check_inclusion(ALL[index], index=index, size=size, path=found, root=root)


@pytest.mark.parametrize("new", [*range(1, 40), 255, 256, 257, 511, 512, 513, 600])
def test_consistency__every_old_size__equals_proof_and_verifies(new: int) -> None:
    tiles = MemoryTiles(ALL[:new])
    root = rfc.mth(ALL[:new])
    for old in range(1, new + 1):
        found = consistency_proof(tiles, old, new)
        assert found == rfc.proof(old, ALL[:new])
        check_consistency(old=old, new=new, old_root=rfc.mth(ALL[:old]), new_root=root, path=found)


def test_proofs__all_sizes_to_600__sampled_pairs_equal_the_rfc() -> None:
    tiles = MemoryTiles(ALL)
    chance = random.Random(6962)
    for size in range(1, LIMIT + 1):
        index, old = chance.randrange(size), chance.randint(1, size)
        assert inclusion_proof(tiles, index, size) == rfc.path(index, ALL[:size])
        assert consistency_proof(tiles, old, size) == rfc.proof(old, ALL[:size])
        assert range_root(tiles, size) == rfc.mth(ALL[:size])


def test_proofs__random_sizes_to_a_million__verify_and_read_few_tiles() -> None:
    everything = [number.to_bytes(32, "big") for number in range(1_000_000)]
    tiles = MemoryTiles(everything)
    chance = random.Random(9162)
    for _ in range(200):
        size = chance.randint(1, 1_000_000)
        index, old = chance.randrange(size), chance.randint(1, size)
        tiles.reads = 0
        path = inclusion_proof(tiles, index, size)
        assert tiles.reads <= 6
        root = range_root(tiles, size)
        check_inclusion(everything[index], index=index, size=size, path=path, root=root)
        check_consistency(
            old=old,
            new=size,
            old_root=range_root(tiles, old),
            new_root=root,
            path=consistency_proof(tiles, old, size),
        )


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (0, 0), (7, 3)])
def test_inclusion__outside_its_domain__refused_on_both_sides(index: int, size: int) -> None:
    with pytest.raises(TreeError):
        inclusion_proof(MemoryTiles(ALL), index, size)
    with pytest.raises(ProofError):
        check_inclusion(ALL[0], index=index, size=size, path=[], root=ALL[0])


@pytest.mark.parametrize(("old", "new"), [(0, 5), (6, 5), (-1, 3), (0, 0)])
def test_consistency__outside_its_domain__refused_on_both_sides(old: int, new: int) -> None:
    with pytest.raises(TreeError):
        consistency_proof(MemoryTiles(ALL), old, new)
    with pytest.raises(ProofError):
        check_consistency(old=old, new=new, old_root=ALL[0], new_root=ALL[0], path=[])


def test_proofs__a_stored_hash_is_missing__raise() -> None:
    tiles = MemoryTiles(ALL[:300])
    tiles.levels[0] = tiles.levels[0][:280]
    with pytest.raises(TreeError, match="lacks stored hashes"):
        inclusion_proof(tiles, 10, 300)


def test_consistency__equal_sizes__need_equal_roots_and_an_empty_path() -> None:
    root = rfc.mth(ALL[:5])
    check_consistency(old=5, new=5, old_root=root, new_root=root, path=[])
    with pytest.raises(ProofError, match="two roots"):
        check_consistency(old=5, new=5, old_root=root, new_root=ALL[0], path=[])
    with pytest.raises(ProofError, match="spare"):
        check_consistency(old=5, new=5, old_root=root, new_root=root, path=[ALL[0]])


def _flip(hashes: list[bytes], position: int, bit: int) -> list[bytes]:
    damaged = bytearray(hashes[position])
    damaged[bit // 8] ^= 1 << bit % 8
    return [*hashes[:position], bytes(damaged), *hashes[position + 1 :]]


@st.composite
def damaged_paths(draw: st.DrawFn, path: list[bytes]) -> list[bytes]:
    """Any single damage to a proof: a flipped bit, a dropped, added or swapped hash."""
    kind = draw(st.sampled_from(["flip", "drop", "add", "swap", "shorten"] if path else ["add"]))
    position = draw(st.integers(0, max(0, len(path) - 1)))
    if kind == "flip":
        return _flip(path, position, draw(st.integers(0, 255)))
    if kind == "drop":
        return path[:position] + path[position + 1 :]
    if kind == "shorten":
        return [*path[:position], path[position][:-1], *path[position + 1 :]]
    if kind == "swap" and len(path) > 1:
        return [*path[1:], path[0]]
    return [*path[:position], b"\x07" * 32, *path[position:]]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_inclusion__any_damage__is_rejected(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, LIMIT))
    index = data.draw(st.integers(0, size - 1))
    path, root = rfc.path(index, ALL[:size]), rfc.mth(ALL[:size])
    damaged = data.draw(damaged_paths(path))
    with pytest.raises(ProofError):
        check_inclusion(ALL[index], index=index, size=size, path=damaged, root=root)
    shifted = data.draw(st.integers(0, size).filter(lambda other: other != index))
    with pytest.raises(ProofError):
        check_inclusion(ALL[index], index=shifted, size=size, path=path, root=root)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_consistency__any_damage__is_rejected(data: st.DataObject) -> None:
    new = data.draw(st.integers(1, LIMIT))
    old = data.draw(st.integers(1, new))
    path = rfc.proof(old, ALL[:new])
    roots = {"old_root": rfc.mth(ALL[:old]), "new_root": rfc.mth(ALL[:new])}
    with pytest.raises(ProofError):
        check_consistency(old=old, new=new, path=data.draw(damaged_paths(path)), **roots)
    side = data.draw(st.sampled_from(sorted(roots)))
    bit = data.draw(st.integers(0, 255))
    with pytest.raises(ProofError):
        check_consistency(
            old=old, new=new, path=path, **roots | {side: _flip([roots[side]], 0, bit)[0]}
        )
