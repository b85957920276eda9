"""Checkpoints (C2SP tlog-checkpoint): three lines that fix a log's size and root."""

import base64
import re
from dataclasses import dataclass
from typing import Final

from audit.c2sp.errors import FormatError
from audit.c2sp.note import decode_base64

_SIZE = re.compile(r"0|[1-9][0-9]*")
_HASH_SIZE: Final = 32
_LINES: Final = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of log `origin`: `size` entries under `root`. No time: the log cannot prove one."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the note text: origin, size, root, each line ending in a newline."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint note. Extension lines are refused: ours has none.

    Raises:
        FormatError: when it is not exactly the three lines.
    """
    lines = text.split("\n")
    if len(lines) != _LINES + 1 or lines[-1]:
        raise FormatError("a checkpoint has exactly three lines")
    origin, size, root = lines[:_LINES]
    if not origin or not _SIZE.fullmatch(size):
        raise FormatError("a checkpoint needs an origin and a decimal size")
    digest = decode_base64(root)
    if len(digest) != _HASH_SIZE:
        raise FormatError("a checkpoint's root has 32 bytes")
    return Checkpoint(origin, int(size), digest)
