"""A sealed log to be tampered with, and what an expert does to hide it."""

from uuid import UUID, uuid4

import psycopg

from audit.sealing import checkpoints
from audit.sealing.sealer import Sealer
from audit.services import Receipt
from audit.tree.frontier import Frontier
from audit.verification.findings import LogReport, Verdict
from audit.verification.run import verify
from tests.audit.logs import changes, rows

FORGE = (
    "UPDATE audit_event "
    "SET leaf = replace(convert_from(leaf, 'UTF8'), 'name 42', 'name 43')::bytea WHERE id = %s"
)
SIZE = 300


class Sample:
    """A sealed log of 300 entries with a published checkpoint, to be tampered with."""

    def __init__(self, sealer: Sealer) -> None:
        self.tenant = uuid4()
        self.receipts: list[Receipt] = changes(self.tenant, SIZE)
        sealer.drain()
        self.log_id: UUID = rows("SELECT log_id FROM audit_head WHERE tenant_id = %s", self.tenant)[
            0
        ][0]
        checkpoints.issue(self.log_id)

    def verify(self) -> LogReport:
        (report,) = verify(self.tenant).logs
        return report

    def event(self, index: int) -> UUID:
        return self.receipts[index].event_id


def verdicts(report: LogReport) -> set[Verdict]:
    """The kinds of what was found."""
    return {finding.verdict for finding in report.findings}


def rebuild(link: psycopg.Connection, sample: Sample) -> None:
    """Do what an expert would: recompute every hash, tile, head and stored note's root."""
    digests = [
        bytes(row[0])
        for row in link.execute(
            "SELECT e.leaf_hash FROM audit_leaf l JOIN audit_event e ON e.id = l.event_id "
            "WHERE l.log_id = %s ORDER BY leaf_index",
            [sample.log_id],
        ).fetchall()
    ]
    link.execute(
        "UPDATE audit_leaf l SET leaf_hash = e.leaf_hash FROM audit_event e "
        "WHERE e.id = l.event_id AND l.log_id = %s",
        [sample.log_id],
    )
    frontier = Frontier()
    for root in frontier.extend(digests):
        link.execute(
            "UPDATE audit_node SET hash = %s WHERE log_id = %s AND level = %s AND idx = %s",
            [root.hash, sample.log_id, root.level, root.index],
        )
    link.execute(
        "UPDATE audit_head SET root = %s, frontier = %s WHERE log_id = %s",
        [frontier.root(), frontier.hashes, sample.log_id],
    )
