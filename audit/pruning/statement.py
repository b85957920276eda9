"""The signed statement of a pruning: which places of a log have no bytes any more.

A C2SP signed note under the log's own key, whose text cannot be taken for a checkpoint's::

    innkeeper.audit.pruning/v1
    <origin>
    <upto: every pruned place lies below>
    <base64 root of the log of that size>
    <first> <past>        one line for each range [first, past), in order

It tells everything pruned so far: the newest statement of a log is enough. The log entry
``audit.retention.pruned`` holds the SHA-256 of the text.
"""

import base64
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from audit.c2sp.errors import FormatError
from audit.c2sp.note import decode_base64
from audit.pruning.ranges import Ranges
from audit.tree.hashes import HASH_SIZE

HEADER: Final = "innkeeper.audit.pruning/v1"
_FIXED_LINES: Final = 4
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Statement:
    """What has been pruned of a log that had `root` when it had `upto` entries."""

    origin: str
    upto: int
    root: bytes
    ranges: Ranges

    def text(self) -> str:
        """Return the text that is signed."""
        root = base64.b64encode(self.root).decode()
        lines = [HEADER, self.origin, str(self.upto), root]
        lines += [f"{first} {past}" for first, past in self.ranges]
        return "\n".join(lines) + "\n"

    def digest(self) -> str:
        """Return what the entry of the log holds: the SHA-256 of the text, in hex."""
        return sha256(self.text().encode()).hexdigest()


def parse_statement(text: str) -> Statement:
    """Read the text of a statement.

    Raises:
        FormatError: it is none, or its ranges are out of order or beyond `upto`.
    """
    lines = text.split("\n")
    if len(lines) <= _FIXED_LINES or lines[0] != HEADER or lines.pop() != "":
        raise FormatError("no statement of a pruning")
    upto, root = _number(lines[2]), decode_base64(lines[3])
    if len(root) != HASH_SIZE:
        raise FormatError("a root has 32 bytes")
    ranges: list[tuple[int, int]] = []
    at = -1
    for line in lines[_FIXED_LINES:]:
        first, _, past = line.partition(" ")
        one = (_number(first), _number(past))
        if not at < one[0] < one[1] <= upto:
            raise FormatError("ranges of a pruning are out of order")
        at = one[1]
        ranges.append(one)
    if not ranges:
        raise FormatError("a pruning names no places")
    return Statement(lines[1], upto, root, tuple(ranges))


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise FormatError("no number")
    return int(text)
