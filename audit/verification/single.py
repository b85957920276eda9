"""Verifies one entry: bytes, columns, openings, and its place under the newest note."""

from uuid import UUID

from audit.c2sp.checkpoint import parse_checkpoint
from audit.c2sp.note import parse, signed_by
from audit.sealing.keys import ring
from audit.sealing.tiles import DatabaseTiles
from audit.tree.proofs import TreeError, inclusion_proof
from audit.tree.verify import ProofError, check_inclusion
from audit.verification import entry, storage
from audit.verification.erasures import Erasures
from audit.verification.findings import LogReport, Verdict
from audit.verification.openings import Openings
from audit.verification.run import NO_LOG
from kernel import db
from kernel.tenancy import across_tenants


def verify_entry(event_id: UUID, tenant_id: UUID) -> LogReport:
    """Verify one entry of a tenant.

    Returns:
        A report about this entry alone; ``unsealed`` where it has no place yet.
    """
    with db.use_alias("sealer"), across_tenants():
        place = storage.place(event_id)
        if place is None:
            report = LogReport(NO_LOG, "", tenant_id, 0)
            report.add(Verdict.UNSEALED, f"entry {event_id} has no place")
            return report
        log_id, index = place
        (head,) = [head for head in storage.heads(tenant_id) if head.log_id == log_id]
        report = LogReport(log_id, head.origin, tenant_id, head.size)
        with db.atomic():
            openings = Openings(Erasures(log_id, tenant_id))
            openings.begin(index, index + 1)
            ((row,),) = storage.places(log_id, index, index + 1)
            entry.check(report, index, row, openings)
            openings.settle(report)
            openings.tell(report)
        report.checked = 1
        _check_place(report, index, row[1], head)
    return report


def _check_place(report: LogReport, index: int, digest: bytes, head: storage.StoredHead) -> None:
    """Check the entry's inclusion under the newest signed note, or under the head without one."""
    notes = [note for note in storage.notes(head.log_id) if note.size > index]
    size, root = head.size, head.root
    if notes:
        note = parse(notes[-1].note)
        checkpoint = parse_checkpoint(note.text)
        size, root = checkpoint.size, checkpoint.root
        if not any(signed_by(note, ed) for ed, _ in ring().verifiers(head.origin)):
            report.add(Verdict.UNSIGNED, f"the checkpoint of size {size} is not signed by us")
    try:
        path = inclusion_proof(DatabaseTiles(head.log_id), index, size)
        check_inclusion(digest, index=index, size=size, path=path, root=root)
    except (TreeError, ProofError) as error:
        report.add(Verdict.INVALID, f"the tree of {size} entries does not hold it: {error}", index)
