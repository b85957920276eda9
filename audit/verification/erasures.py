"""What lawful erasures took from a log: each is told by a sealed entry of the tenant's own log.

The entry ``audit.pii.erased`` holds the digest of all it took (:mod:`audit.encoding.erased`). What
is written down about an erasure beside the log counts only while it has this digest. Entries from
before there were digests say how many values were erased, and no more.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from audit.actions import PII_ERASED
from audit.encoding.erased import Erased, digest
from audit.models import Stream
from audit.tree.hashes import leaf_hash
from kernel import db

_TAKEN: Final = """
SELECT l.leaf_index, t.erasure, t.paths
FROM audit_leaf l JOIN audit_erased t ON t.event_id = l.event_id
WHERE l.log_id = %s AND l.leaf_index >= %s AND l.leaf_index < %s AND t.tenant_id = %s
"""
_PARTS: Final = "SELECT event_id, paths FROM audit_erased WHERE erasure = %s"
# Sealed as it is, or, in the first minute, to be sealed.
_TOLD: Final = """
SELECT e.leaf, l.leaf_hash, e.recorded_at > now() - interval '1 minute'
FROM audit_event e LEFT JOIN audit_leaf l ON l.event_id = e.id AND l.recorded_at = e.recorded_at
WHERE e.tenant_id = %s AND e.action = %s AND e.stream = %s
"""


class _Metadata(msgspec.Struct):
    values: int
    openings: str = ""


class _Context(msgspec.Struct):
    metadata: _Metadata


class _Told(msgspec.Struct):
    """What is read of the bytes of an erasure's entry."""

    id: UUID
    action: str
    stream: int
    context: _Context


_read: Final = msgspec.json.Decoder(_Told).decode


class Erasures:
    """The erasures of one tenant as far as they concern one log."""

    def __init__(self, log_id: UUID, tenant_id: UUID) -> None:
        self._log_id = log_id
        self._tenant_id = tenant_id
        self._digests: dict[UUID, str] = {}
        self._proven: dict[UUID, bool] = {}
        self._taken: dict[int, set[str]] = {}
        self.uncounted = 0
        """How many values were erased by entries that do not say which."""
        self._read()

    def load(self, first: int, past: int) -> None:
        """Look up what erasures took of the places [first, past)."""
        self._taken.clear()
        if not self._digests:
            return
        with db.cursor() as cursor:
            cursor.execute(_TAKEN, [self._log_id, first, past, self._tenant_id])
            for index, erasure, paths in cursor.fetchall():
                if self._is_proven(erasure):
                    self._taken.setdefault(index, set()).update(paths)

    def covers(self, index: int, path: str) -> bool:
        """Tell whether the opening of a value of the loaded places was erased."""
        return path in self._taken.get(index, ())

    def _read(self) -> None:
        """Read the entries that tell of erasures."""
        with db.cursor() as cursor:
            cursor.execute(_TOLD, [self._tenant_id, PII_ERASED.name, Stream.PLATFORM])
            rows = cursor.fetchall()
        for row in rows:
            told = _sealed(row)
            if told is None:
                continue
            if told.context.metadata.openings:
                self._digests[told.id] = told.context.metadata.openings
            else:
                self.uncounted += told.context.metadata.values

    def _is_proven(self, erasure: UUID) -> bool:
        if erasure not in self._proven:
            with db.cursor() as cursor:
                cursor.execute(_PARTS, [erasure])
                parts = [Erased(row[0], tuple(row[1])) for row in cursor.fetchall()]
            self._proven[erasure] = self._digests.get(erasure) == digest(parts)
        return self._proven[erasure]


def _sealed(row: Sequence[Any]) -> _Told | None:
    """Return an entry whose bytes are those that were sealed; None for any other."""
    leaf, place, is_fresh = bytes(row[0]), row[1], row[2]
    if (bytes(place) != leaf_hash(leaf)) if place is not None else not is_fresh:
        return None
    try:
        told = _read(leaf)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    is_one = told.action == PII_ERASED.name and told.stream == Stream.PLATFORM
    return told if is_one else None
