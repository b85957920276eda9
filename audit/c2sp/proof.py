"""Offline proofs (C2SP tlog-proof): everything that shows one entry, in one small text file."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from audit.c2sp.errors import FormatError
from audit.c2sp.note import decode_base64

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_HASHES: Final = 63
_INDEX = re.compile(r"index (0|[1-9][0-9]*)")
_HASH_SIZE: Final = 32


@dataclass(frozen=True, slots=True)
class TlogProof:
    """Entry `index` is in the tree of the signed note `checkpoint` by way of `path`."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def encode(self) -> str:
        """Return the text of the ``.tlog-proof`` file."""
        extra = [] if self.extra is None else [f"extra {base64.b64encode(self.extra).decode()}"]
        hashes = [base64.b64encode(entry).decode() for entry in self.path]
        head = [HEADER, *extra, f"index {self.index}", *hashes]
        return "\n".join(head) + "\n\n" + self.checkpoint


def parse_proof(text: str) -> TlogProof:
    """Read a ``.tlog-proof`` file.

    Raises:
        FormatError: when a line is missing, spare or of another form.
    """
    head, separator, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or lines.pop(0) != HEADER:
        raise FormatError("not a tlog-proof")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = decode_base64(lines.pop(0).removeprefix("extra "))
    match = _INDEX.fullmatch(lines.pop(0)) if lines else None
    if match is None:
        raise FormatError("a tlog-proof names no index")
    return TlogProof(int(match[1]), _hashes(lines), checkpoint, extra)


def _hashes(lines: Sequence[str]) -> tuple[bytes, ...]:
    hashes = tuple(decode_base64(line) for line in lines)
    if len(hashes) > MAX_HASHES or any(len(entry) != _HASH_SIZE for entry in hashes):
        raise FormatError("a tlog-proof holds at most 63 hashes of 32 bytes")
    return hashes
