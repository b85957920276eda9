"""Announces a pruning: a signed statement, and its digest in the log, before anything goes."""

from base64 import b64encode
from typing import Final

from audit.actions import PRUNED
from audit.c2sp.note import sign
from audit.models import Stream
from audit.pruning import ranges
from audit.pruning.plan import Step
from audit.pruning.statement import Statement
from audit.sealing.keys import ring
from audit.sealing.tiles import DatabaseTiles
from audit.services import Receipt, audited, record
from audit.services.context import Context
from audit.tree.proofs import range_root
from kernel import db

_KEEP: Final = """
INSERT INTO audit_pruning (tenant_id, log_id, event_id, upto, root, ranges, months, statement)
VALUES (%s, %s, %s, %s, %s, %s::int8multirange, %s::date[], %s)
"""


def announce(step: Step) -> Receipt:
    """Say what is about to go, in one transaction, and commit it.

    Raises:
        audit.tree.proofs.TreeError: the stored log lacks hashes: nothing of it may be pruned.
    """
    log = step.log
    root = range_root(DatabaseTiles(log.log_id), step.upto)
    statement = Statement(log.origin, step.upto, root, step.ranges)
    signer = ring().signers(log.origin)[0]
    note = sign(statement.text(), [signer])
    with audited():
        receipt = record(
            action=PRUNED.name,
            target_type="audit_log",
            target_id=log.log_id.hex,
            tenant_id=log.tenant_id,
            stream=Stream.PLATFORM,
            metadata={
                "stream": Stream(log.stream).name.lower(),
                "from": step.fresh[0][0],
                "to": step.upto,
                "entries": step.entries,
                "entries_in_all": ranges.count(step.ranges),
                "root": b64encode(root).decode(),
                "statement": statement.digest(),
            },
            context=Context("system"),
        )
        with db.cursor() as cursor:
            cursor.execute(
                _KEEP,
                [
                    log.tenant_id,
                    log.log_id,
                    receipt.event_id,
                    step.upto,
                    root,
                    ranges.multirange(step.ranges),
                    list(step.months),
                    note.encode(),
                ],
            )
    return receipt
