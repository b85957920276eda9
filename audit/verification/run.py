"""Verifies all logs, or one tenant's."""

import time
from collections.abc import Callable, Sequence
from uuid import UUID

from audit.c2sp.checkpoint import Checkpoint
from audit.models import HEADS_STREAM
from audit.sealing import anchors
from audit.sealing.keys import ring
from audit.verification import storage
from audit.verification.findings import LogReport, Report, Verdict
from audit.verification.log import LogVerifier
from audit.verification.processes import verify_in, worthwhile
from audit.verification.storage import StoredHead
from kernel import db
from kernel.tenancy import across_tenants

NO_LOG = UUID(int=0)
Progress = Callable[[int], None]


def verify(
    tenant_id: UUID | None = None,
    *,
    log_id: UUID | None = None,
    since: Checkpoint | None = None,
    jobs: int = 1,
    announce: Callable[[int], None] = lambda _: None,
    progress: Progress = lambda _: None,
) -> Report:
    """Verify every stored log (or one tenant's) against itself, its notes and the anchors.

    Args:
        tenant_id: only this tenant's logs.
        log_id: only this one of them.
        since: a state of one log that was verified before; only that log is looked at, from there.
        jobs: most processes that share the logs, if there is work for them; one walks a log.
        announce: told the number of places once it is known.
        progress: told after each batch, or log of another process, how many places it held.
    """
    started = time.perf_counter()
    with db.use_alias("sealer"), across_tenants():
        heads = [
            head
            for head in storage.heads(tenant_id)
            if (log_id is None or head.log_id == log_id)
            and (since is None or head.origin == since.origin)
        ]
        announce(sum(head.size for head in heads))
        processes = worthwhile(heads, jobs)
        if processes > 1:
            reports = verify_in(processes, heads, since, progress)
        else:
            keys = ring()
            reports = [LogVerifier(head, keys, progress, since).run() for head in heads]
        if log_id is None and since is None:
            reports += lost(tenant_id, heads)
    return Report(tuple(reports), time.perf_counter() - started)


def lost(tenant_id: UUID | None, heads: Sequence[StoredHead]) -> list[LogReport]:
    """Name what should be among the stored logs: of one tenant, or of all.

    Traces of a log without a head, an anchored note of it, an epoch before others, entries that
    never got a log. Of one tenant of whom there is no trace at all, that is said.
    """
    stored = {head.log_id for head in heads}
    reports = _lost_logs(tenant_id, stored) + _lost_epochs(heads) + _never_sealed(tenant_id)
    if tenant_id is not None and not stored and not reports:
        report = LogReport(NO_LOG, "", tenant_id, 0)
        report.add(Verdict.ABSENT, "no log and no entry of this tenant is stored")
        reports.append(report)
    return reports


def _lost_logs(tenant_id: UUID | None, stored: set[UUID]) -> list[LogReport]:
    """Name logs of which an anchored checkpoint or a row of another table tells, and no head.

    A note alone does not say whose log it is of.
    """
    owners = storage.traces(tenant_id)
    found = set(owners) - stored
    if tenant_id is None:
        found |= set(anchors.known_logs()) - stored
    elif not stored:
        found.update(storage.logs_of_places(tenant_id))
    if found:  # a log that began meanwhile is not lost
        found -= {head.log_id for head in storage.heads(tenant_id)}
    reports: list[LogReport] = []
    for log_id in sorted(found):
        try:
            known = anchors.newest(log_id)
        except anchors.AnchorUnreadableError:
            known = None
        size = f" of {known.size} entries" if known else ""
        report = LogReport(
            log_id, known.origin if known else "", owners.get(log_id, tenant_id or NO_LOG), 0
        )
        report.add(Verdict.GAP, f"the whole log{size} is gone", 0)
        reports.append(report)
    return reports


def _lost_epochs(heads: Sequence[StoredHead]) -> list[LogReport]:
    """Name logs before which an epoch is lacking; the heads come in order."""
    reports: list[LogReport] = []
    former: tuple[UUID, int, int] | None = None
    for head in heads:
        this = (head.tenant_id, head.stream, head.epoch)
        expected = former[2] + 1 if former and former[:2] == this[:2] else 0
        if head.epoch != expected:
            report = LogReport(head.log_id, head.origin, head.tenant_id, head.size)
            report.add(Verdict.GAP, f"epoch {expected} of stream {head.stream} is gone")
            reports.append(report)
        former = this
    return reports


def _never_sealed(tenant_id: UUID | None) -> list[LogReport]:
    reports: list[LogReport] = []
    for owner, stream in storage.tenants_without_log(tenant_id):
        if stream != HEADS_STREAM:
            report = LogReport(NO_LOG, "", owner, 0)
            report.add(Verdict.UNSEALED, f"entries of stream {stream} have no log")
            reports.append(report)
    return reports
