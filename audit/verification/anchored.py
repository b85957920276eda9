"""What anchors hold against a log: which states they saw, and whether their evidence is good."""

from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from django.conf import settings

from audit.anchoring import timestamps, witnesses
from audit.anchoring.errors import AnchorError
from audit.c2sp.errors import FormatError
from audit.c2sp.note import parse
from audit.sealing.anchors import checkpoint_of
from audit.verification.findings import LogReport, Verdict
from audit.verification.storage import StoredNote
from kernel import db

State = tuple[int, bytes, str]


def states(report: LogReport, log_id: UUID, notes: Sequence[StoredNote]) -> list[State]:
    """Check the kept evidence about a log; return (size, root, what says so) of each.

    A time stamp covers a note, so the note must still be there: it is ``withdrawn`` if not. Roots
    of the authority and keys of witnesses are those of the settings; evidence of others is held
    against the log all the same.
    """
    by_size = {note.size: note.note for note in notes}
    found = []
    for kind, size, proof in _kept(log_id):
        where = f"the {kind} anchor of size {size}"
        if kind == "rfc3161" and size not in by_size:
            report.add(
                Verdict.WITHDRAWN, f"the checkpoint of size {size} is gone, which was stamped"
            )
            continue
        try:
            found.append((size, _CHECKS[kind](proof, by_size.get(size, "")), where))
        except KeyError:
            report.add(Verdict.INVALID, f"{where} is of no kind that there is")
        except (AnchorError, FormatError, ValueError) as error:
            report.add(Verdict.INVALID, f"{where} does not hold: {error}")
    return found


def _kept(log_id: UUID) -> list[tuple[str, int, str]]:
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT kind, size, proof FROM audit_anchor WHERE log_id = %s ORDER BY size, at",
            [log_id],
        )
        return list(cursor.fetchall())


def _stamped(proof: str, note: str) -> bytes:
    raw = bytes.fromhex(proof)
    if not timestamps.covers(raw, note):
        raise AnchorError("it stamps another note")
    if settings.INNKEEPER_AUDIT_TSA_CA:
        timestamps.verify(raw, timestamps.roots_of(settings.INNKEEPER_AUDIT_TSA_CA), note)
    return checkpoint_of(note).root


def _witnessed(proof: str, _: str) -> bytes:
    keys = [witnesses.read(text).verifier for text in settings.INNKEEPER_AUDIT_WITNESSES]
    names = {(one.name, one.key_id) for one in parse(proof).signatures}
    for key in keys:
        if (key.name, key.key_id) in names and not witnesses.verifies(key, proof):
            raise AnchorError(f"the cosignature of {key.name} is bad")
    return checkpoint_of(proof).root


def _received(proof: str, _: str) -> bytes:
    return checkpoint_of(proof).root


_CHECKS: Final[dict[str, Callable[[str, str], bytes]]] = {
    "rfc3161": _stamped,
    "witness": _witnessed,
    "receiver": _received,
}
