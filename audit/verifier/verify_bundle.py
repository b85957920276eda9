"""Verifies exported audit bundles and offline proofs. Standard library and `cryptography` only.

Lies beside `verify_openings.py`, which it needs. Specifications: RFC 9162 section 2.1, C2SP
signed-note, tlog-checkpoint, tlog-tiles and tlog-proof.
It repeats on purpose what Innkeeper's own code does: whoever checks a log must not trust its
maker's code.
"""

import argparse
import base64
import binascii
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519 = 1
FULL = 256
HASH_SIZE = 32
LINES = 3
MALFORMED = (OSError, ValueError, LookupError, TypeError, AttributeError)
KEYS = "a verifier key of the log; again for each that signed; only Ed25519 keys are used"
PRUNING = "innkeeper.audit.pruning/v1"


def neighbour(name: str) -> Any:
    """Load a script beside this one, wherever the two lie."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


personal = neighbour("verify_openings")
RefutedError: type[Exception] = personal.RefutedError


@dataclass(frozen=True)
class Pruning:
    """What the log's owner signed as pruned: places without bytes, and the root up to there."""

    upto: int
    root: bytes
    ranges: list[tuple[int, int]]

    def covers(self, index: int) -> bool:
        """Tell whether the entry of this place may be gone."""
        return any(first <= index < past for first, past in self.ranges)


@dataclass(frozen=True)
class Checkpoint:
    """The signed state of a log."""

    origin: str
    size: int
    root: bytes


def node(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """A growing tree; also tells the roots of full tiles as they close."""

    def __init__(self) -> None:
        self.size = 0
        self.stack: list[bytes] = []

    def append(self, leaf: bytes) -> list[tuple[int, bytes]]:
        """Add a leaf hash; return (level, root) of the tiles it completed."""
        current, height, closed = leaf, 0, []
        carry = self.size
        while carry & 1:
            current = node(self.stack.pop(), current)
            carry >>= 1
            height += 1
            if height % 8 == 0:
                closed.append((height // 8, current))
        self.stack.append(current)
        self.size += 1
        return closed

    def root(self) -> bytes:
        """Return the root."""
        if not self.stack:
            return sha256(b"").digest()
        root = self.stack[-1]
        for left in reversed(self.stack[:-1]):
            root = node(left, root)
        return root


def unbase64(text: str) -> bytes:
    """Read strict base64."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise RefutedError("malformed base64") from error


def key_of(origin: str, vkey: str) -> str:
    """Return the same keys under the name of another log of the instance."""
    named = []
    for one in vkey.split():
        encoded = one.split("+", 2)[2]
        identifier = sha256(origin.encode() + b"\n" + unbase64(encoded)).digest()[:4].hex()
        named.append(f"{origin}+{identifier}+{encoded}")
    return "\n".join(named)


def open_note(note: str, vkey: str) -> Checkpoint:
    """Check a note's signature by one of the keys and return the checkpoint it signs."""
    text, name = signed_text(note, vkey)
    return read_checkpoint(text, name)


def signed_text(note: str, vkey: str) -> tuple[str, str]:
    """Check a note's signature by one of the keys; return the signed text and the keys' name."""
    keys = {}
    for one in vkey.split():
        name, identifier, encoded = one.split("+", 2)
        public = unbase64(encoded)
        if sha256(name.encode() + b"\n" + public).digest()[:4].hex() != identifier:
            raise RefutedError("the verifier key is malformed")
        if public[0] == ED25519:  # logs have keys of other kinds as well: ML-DSA-44
            keys[name, identifier] = public[1:]
    text, separator, tail = note.rpartition("\n\n")
    text += "\n"
    if not separator or not tail.endswith("\n"):
        raise RefutedError("not a signed note")
    signed = False
    for line in tail.splitlines():
        dash, signer, encoded = line.split(" ", 2)
        raw = unbase64(encoded)
        key = keys.get((signer, raw[:4].hex()))
        if dash == "—" and key is not None:
            try:
                Ed25519PublicKey.from_public_bytes(key).verify(raw[4:], text.encode())
            except InvalidSignature as error:
                raise RefutedError("the signature is bad") from error
            name, signed = signer, True
    if not signed:
        raise RefutedError("no Ed25519 key among those given has signed the note")
    return text, name


def open_pruning(note: str, vkey: str) -> Pruning:
    """Check the signed statement of what was pruned and return it."""
    text, name = signed_text(note, vkey)
    lines = text.split("\n")
    if lines[:2] != [PRUNING, name] or lines.pop() != "":
        raise RefutedError("not a statement of a pruning of this log")
    pairs = [tuple(map(int, line.split(" "))) for line in lines[4:]]
    ranges = [(first, past) for first, past in pairs]
    upto, root = int(lines[2]), unbase64(lines[3])
    if not ranges or any(not 0 <= first < past <= upto for first, past in ranges):
        raise RefutedError("the statement of the pruning is malformed")
    return Pruning(upto, root, ranges)


def read_checkpoint(text: str, name: str) -> Checkpoint:
    """Read the three lines of a checkpoint of the log that the key names."""
    lines = text.split("\n")
    if len(lines) != LINES + 1 or lines[LINES] or not lines[1].isdigit():
        raise RefutedError("not a checkpoint")
    if lines[0] != name:
        raise RefutedError("the checkpoint is of another log than the key")
    root = unbase64(lines[2])
    if len(root) != HASH_SIZE:
        raise RefutedError("the root has not 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root)


def tile_name(level: str, index: int, width: int) -> str:
    """Return the path of a tile."""
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    number = "/".join([*("x" + group for group in groups[:-1]), groups[-1]])
    return f"tile/{level}/{number}" + ("" if width == FULL else f".p/{width}")


def entries(directory: Path, size: int) -> Iterator[bytes]:
    """Go through the hashed bytes of all entries."""
    for index in range(-(-size // FULL)):
        width = min(FULL, size - index * FULL)
        bundle = read(directory / tile_name("entries", index, width))
        at = count = 0
        while at < len(bundle):
            end = at + 2 + int.from_bytes(bundle[at : at + 2], "big")
            if end > len(bundle):
                raise RefutedError(f"entry bundle {index} is cut off")
            yield bundle[at + 2 : end]
            at, count = end, count + 1
        if count != width:
            raise RefutedError(f"entry bundle {index} holds {count} entries instead of {width}")


def read(path: Path) -> bytes:
    """Read a file of the bundle."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise RefutedError(f"{path.name} is missing") from error


def verify_bundle(
    directory: Path, vkey: str, known: str | None, former: dict[int, bytes] | None = None
) -> str:
    """Recompute a whole log from its entries; return what was shown.

    `former` holds the roots that the log had at earlier sizes.
    """
    former = former or {}
    state = open_note(read(directory / "checkpoint").decode(), vkey)
    older = open_note(known, vkey) if known else None
    if former and max(former) > state.size:
        raise RefutedError(f"the log lacks the state of its checkpoint of {max(former)}")
    if older and older.size > state.size:
        raise RefutedError(f"the log shrank from {older.size} to {state.size} entries")
    tree = Tree()
    levels: dict[int, list[bytes]] = {0: []}
    openings = personal.Openings(directory, erasures(directory, vkey, state.origin))
    pruning = read_pruning(directory, vkey)
    hashes = Hashes(directory, state.size)
    fixed = fixed_roots(former, older, pruning)
    pruned = 0
    if older and older.size == 0 and older.root != tree.root():
        raise RefutedError("the known checkpoint of an empty log is malformed")
    for index, leaf in enumerate(entries(directory, state.size)):
        if leaf:
            digest = sha256(b"\x00" + leaf).digest()
            openings.check(index, leaf, state.origin)
        elif pruning and pruning.covers(index):
            digest, pruned = hashes.at(index), pruned + 1
        else:
            raise RefutedError(f"entry {index} is missing and nobody signed that it was pruned")
        levels[0].append(digest)
        for level, root in tree.append(digest):
            levels.setdefault(level, []).append(root)
        for known_root, where in fixed.get(tree.size, ()):
            if tree.root() != known_root:
                raise RefutedError(f"the log does not begin with {where} of {tree.size}")
    if tree.root() != state.root:
        raise RefutedError("the entries do not lead to the signed root")
    erased = openings.finish()
    check_tiles(directory, levels)
    without = f", {pruned} pruned" if pruned else ""
    grew = f", grown from {older.size}" if older else ""
    return f"valid: {state.size} entries of {state.origin}{grew}, {erased} erased values{without}"


def erasures(directory: Path, vkey: str, origin: str) -> Any:
    """Read what the erasures took whose entries the bundle proves, whichever log has them."""
    proven = []
    for path in sorted((directory / "erasures").glob("*.tlog-proof")):
        text = path.read_text()
        other = text.partition("\n\n")[2].partition("\n")[0]
        if other.rpartition("/")[0] != origin.rpartition("/")[0]:
            raise RefutedError("the proof of an erasure is of another instance")
        proven.append(open_proof(text, key_of(other, vkey), None)[2])
    return personal.read_erasures(directory / "erased.ndjson", proven)


def fixed_roots(
    former: dict[int, bytes], older: Checkpoint | None, pruning: Pruning | None
) -> dict[int, list[tuple[bytes, str]]]:
    """Gather the roots that the log must have had, by size, with who says so."""
    fixed = {size: [(root, "its checkpoint")] for size, root in former.items()}
    if older:
        fixed.setdefault(older.size, []).append((older.root, "the known state"))
    if pruning:
        fixed.setdefault(pruning.upto, []).append((pruning.root, "the state of the pruning"))
    return fixed


class Hashes:
    """Reads the hashes of single places from the tiles of the bundle."""

    def __init__(self, directory: Path, size: int) -> None:
        self.directory, self.size = directory, size
        self.index, self.tile = -1, b""

    def at(self, place: int) -> bytes:
        """Return the hash of a place."""
        if place // FULL != self.index:
            self.index = place // FULL
            width = min(FULL, self.size - self.index * FULL)
            self.tile = read(self.directory / tile_name("0", self.index, width))
        at = place % FULL * HASH_SIZE
        return self.tile[at : at + HASH_SIZE]


def read_pruning(directory: Path, vkey: str) -> Pruning | None:
    """Read the statement of what was pruned, if the bundle has one."""
    path = directory / "pruned"
    return open_pruning(path.read_text(), vkey) if path.exists() else None


def check_tiles(directory: Path, levels: dict[int, list[bytes]]) -> None:
    """Compare every tile of the bundle with the recomputed hashes."""
    for level, hashes in levels.items():
        for start in range(0, len(hashes), FULL):
            part = hashes[start : start + FULL]
            name = tile_name(str(level), start // FULL, len(part))
            if read(directory / name) != b"".join(part):
                raise RefutedError(f"{name} differs from the entries below it")


def verify_proof(text: str, vkey: str, leaf: bytes | None) -> str:
    """Check an offline proof of one entry; return what was shown."""
    index, state, leaf = open_proof(text, vkey, leaf)
    return f"valid: entry {index} of {state.size} in {state.origin}\n{leaf.decode()}"


def open_proof(text: str, vkey: str, leaf: bytes | None) -> tuple[int, Checkpoint, bytes]:
    """Check an offline proof of one entry; return its place, the log's state and its bytes."""
    head, separator, note = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or lines.pop(0) != "c2sp.org/tlog-proof@v1":
        raise RefutedError("not a tlog-proof")
    if lines and lines[0].startswith("extra "):
        extra = unbase64(lines.pop(0).removeprefix("extra "))
        leaf = extra if leaf is None else leaf
    if not lines or not lines[0].startswith("index "):
        raise RefutedError("the proof names no index")
    index = int(lines.pop(0).removeprefix("index "))
    state = open_note(note, vkey)
    if leaf is None:
        raise RefutedError("the entry's bytes are needed: --leaf FILE")
    found = climb(sha256(b"\x00" + leaf).digest(), index, state.size, [*map(unbase64, lines)])
    if found != state.root:
        raise RefutedError("the proof leads to another root")
    return index, state, leaf


def climb(digest: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Walk from a leaf to the root (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size or any(len(one) != HASH_SIZE for one in path):
        raise RefutedError("the proof is malformed")
    at, last = index, size - 1
    for sibling in path:
        if last == 0:
            raise RefutedError("the proof has spare hashes")
        if at & 1 or at == last:
            digest = node(sibling, digest)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            digest = node(digest, sibling)
        at, last = at >> 1, last >> 1
    if last:
        raise RefutedError("the proof lacks hashes")
    return digest


def main(arguments: list[str]) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    bundle = commands.add_parser("bundle", help="verify an exported log")
    bundle.add_argument("directory", type=Path)
    bundle.add_argument("--known", type=Path, help="a checkpoint that you kept")
    proof = commands.add_parser("proof", help="verify one entry's offline proof")
    proof.add_argument("file", type=Path)
    proof.add_argument("--leaf", type=Path, help="the entry's bytes, if the proof has them not")
    for command in (bundle, proof):
        command.add_argument("--vkey", required=True, action="append", help=KEYS)
    options = parser.parse_args(arguments)
    vkey = "\n".join(options.vkey)
    try:
        if options.command == "bundle":
            known = options.known.read_text() if options.known else None
            shown = verify_bundle(options.directory, vkey, known)
        else:
            leaf = options.leaf.read_bytes() if options.leaf else None
            shown = verify_proof(options.file.read_text(), vkey, leaf)
    except (RefutedError, *MALFORMED) as error:
        sys.stderr.write(f"REFUTED: {error}\n")
        return 1
    sys.stdout.write(shown + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
