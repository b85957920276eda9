"""Checks the openings of personal values in an exported log, and what erasures took of them.

Lies beside `verify_bundle.py`, which uses it. Standard library only.
"""

import base64
import hmac
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

COMMITMENT = 45
ERASED = "audit.pii.erased"
DIGEST = re.compile("[0-9a-f]{64}")


class RefutedError(Exception):
    """The bundle or proof does not show what it claims."""


@dataclass(frozen=True)
class Erasures:
    """What the erasures in a bundle took: (tenant, entry, path), and how many more values."""

    taken: frozenset[tuple[str, str, str]]
    uncounted: int
    """Values of which older erasures told no more than the number."""


class Openings:
    """The openings of a log's entries, taken out as the entries come."""

    def __init__(self, directory: Path, erasures: Erasures) -> None:
        self.directory = directory
        self.erasures = erasures
        self.stored = read_openings(directory / "openings.ndjson")
        self.erased = self.untold = 0
        self.first = ""

    def check(self, index: int, leaf: bytes, origin: str) -> None:
        """Check that an entry belongs to this place and its openings fit."""
        document = json.loads(leaf)
        if not origin.startswith(document["log"] + "/"):
            raise RefutedError(f"entry {index} was made for another place than this log")
        committed = dict(commitments(document, self.directory))
        openings = self.stored.pop(index, {})
        for path, (salt, value) in openings.items():
            message = path.encode() + b"\x00" + value.encode()
            digest = hmac.digest(bytes.fromhex(salt), message, sha256)
            expected = "c:" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if committed.get(path) != expected:
                raise RefutedError(f"entry {index}: the value of {path} is not the committed one")
        for path in committed.keys() - openings.keys():
            if (document["tenant"], document["id"], path) in self.erasures.taken:
                self.erased += 1
            else:
                self.untold += 1
                self.first = self.first or f"entry {index}: the value of {path}"

    def finish(self) -> int:
        """Check what is left over; return how many values were erased."""
        if self.stored:
            raise RefutedError(f"an opening belongs to no entry: {min(self.stored)}")
        if self.untold > self.erasures.uncounted:
            raise RefutedError(f"{self.first} has no opening, and no erasure tells of that")
        return self.erased + self.untold


def read_openings(path: Path) -> dict[int, dict[str, tuple[str, str]]]:
    """Read the openings of personal values, by entry."""
    found: dict[int, dict[str, tuple[str, str]]] = {}
    for line in path.read_text().splitlines():
        one = json.loads(line)
        fields = found.setdefault(one["index"], {})
        if one["path"] in fields:
            raise RefutedError(f"entry {one['index']}: {one['path']} is opened twice")
        fields[one["path"]] = (one["salt"], one["value"])
    return found


def read_erasures(path: Path, proven: Iterable[bytes]) -> Erasures:
    """Read what erasures took; it counts as far as a proven entry holds its digest."""
    told: dict[str, list[tuple[str, str]]] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        one = json.loads(line)
        values = told.setdefault(one["erasure"], [])
        values += [(one["event"], path) for path in one["paths"]]
    taken, uncounted = set(), 0
    for leaf in proven:
        document = json.loads(leaf)
        if (document["action"], document["stream"]) != (ERASED, 0):
            raise RefutedError("the proof of an erasure is of another entry")
        metadata, values = document["context"]["metadata"], told.get(document["id"], [])
        if "openings" not in metadata:
            uncounted += metadata["values"]
        elif metadata["openings"] == digest_of(values):
            taken |= {(document["tenant"], event, path) for event, path in values}
    return Erasures(frozenset(taken), uncounted)


def digest_of(values: list[tuple[str, str]]) -> str:
    """Return the digest that an erasure's entry holds of what it took."""
    lines = [f"{event} {len(path.encode())} {path}\n".encode() for event, path in sorted(values)]
    return sha256(b"".join(lines)).hexdigest()


def commitments(document: dict[str, Any], directory: Path) -> Iterator[tuple[str, str]]:
    """Go through the committed values of an entry; large changes lie beside it."""
    context, changes = document["context"], document["changes"]
    if changes.keys() == {"sha256"}:
        changes = json.loads(read_blob(directory / "blobs", changes["sha256"]))
    places = [("context", {**context, "request_id": ""})]
    places += [("context.metadata", context.get("metadata", {}))]
    places += [(f"changes.{side}", fields) for side, fields in changes.items()]
    for prefix, fields in places:
        if isinstance(fields, dict):
            for name, value in fields.items():
                if isinstance(value, str) and value.startswith("c:") and len(value) == COMMITMENT:
                    yield f"{prefix}.{name}", value


def read_blob(directory: Path, digest: str) -> bytes:
    """Read changes too large for their entry, by the digest in it."""
    path = directory / digest
    if not DIGEST.fullmatch(digest) or not path.is_file():
        raise RefutedError(f"blob {digest} is missing")
    body = path.read_bytes()
    if sha256(body).hexdigest() != digest:
        raise RefutedError(f"blob {digest} differs from the digest of its entry")
    return body
