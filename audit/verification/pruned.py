"""Which places may lack their bytes: what the log's newest announcement says, if it is true.

Deleting is forgiven only where a statement signed by the log's own key names the places, an entry
of the tenant's log holds its digest, and the root that it gives is the log's. Everything else that
is gone is missing.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from audit.c2sp.errors import FormatError
from audit.c2sp.note import parse, signed_by
from audit.pruning import ranges
from audit.pruning.ranges import Ranges
from audit.pruning.statement import Statement, parse_statement
from audit.queries import retention
from audit.sealing.keys import KeyRing
from audit.tree.hashes import leaf_hash
from audit.verification.findings import LogReport, Verdict
from audit.verification.storage import StoredHead
from kernel import db


@dataclass(frozen=True, slots=True)
class Announced:
    """The places that an announcement lets go; none without one."""

    upto: int
    root: bytes
    ranges: Ranges

    def covers(self, index: int) -> bool:
        """Tell whether the bytes at a place may be gone."""
        return bool(self.ranges) and ranges.covers(self.ranges, index)

    def tell(self, report: LogReport, first: int) -> None:
        """Name the pruned ranges from a place on, as far as bytes are gone."""
        if Verdict.PRUNED in report.counts:
            for start, past in self.ranges:
                if past > first:
                    report.tell(Verdict.PRUNED, f"places {start} to {past - 1} are pruned", start)


class _Metadata(msgspec.Struct):
    statement: str


class _Context(msgspec.Struct):
    metadata: _Metadata


class _Told(msgspec.Struct):
    """What is read of the bytes of an announcement's entry."""

    context: _Context


_read: Final = msgspec.json.Decoder(_Told).decode
NOTHING: Final = Announced(0, b"", ())


def announced(report: LogReport, head: StoredHead, keys: KeyRing) -> Announced:
    """Return what the log's newest announcement lets go; a false one lets nothing go."""
    stored = retention.pruned_of(head.log_id)
    if stored is None:
        return NOTHING
    try:
        note = parse(stored.statement)
        statement = parse_statement(note.text)
    except FormatError as error:
        report.add(Verdict.INVALID, f"the announced pruning is malformed: {error}")
        return NOTHING
    fault = ""
    if not any(signed_by(note, ed) for ed, _ in keys.verifiers(head.origin)):
        fault = "has no good signature of ours"
    elif (statement.origin, statement.upto, statement.ranges) != (
        head.origin,
        stored.upto,
        stored.ranges,
    ):
        fault = "differs from its columns"
    elif not _told(stored.event_id, head.tenant_id, statement):
        fault = "is not told by the log's entry about it"
    if fault:
        report.add(Verdict.INVALID, f"the announced pruning {fault}")
        return NOTHING
    return Announced(statement.upto, statement.root, statement.ranges)


def _told(event_id: UUID, tenant_id: UUID, statement: Statement) -> bool:
    """Tell whether the tenant's own log has an entry with the statement's digest.

    Its bytes are those that were sealed, or, in the first minute, those that are to be.
    """
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT e.leaf, l.leaf_hash, e.recorded_at > now() - interval '1 minute' "
            "FROM audit_event e LEFT JOIN audit_leaf l ON l.event_id = e.id "
            "WHERE e.id = %s AND e.tenant_id = %s",
            [event_id, tenant_id],
        )
        row = cursor.fetchone()
    if row is None:
        return False
    leaf, sealed, fresh = bytes(row[0]), row[1], row[2]
    if (bytes(sealed) != leaf_hash(leaf)) if sealed is not None else not fresh:
        return False
    try:
        told = _read(leaf)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return told.context.metadata.statement == statement.digest()
