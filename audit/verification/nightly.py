"""The nightly look: every log, from where it was last found without fault."""

from collections.abc import Iterator
from uuid import UUID

import structlog

from audit.actions import LOG_DAMAGED
from audit.c2sp.checkpoint import Checkpoint
from audit.events import LogDamaged
from audit.sealing.tiles import DatabaseTiles
from audit.services import Context, audited, record
from audit.tree.proofs import TreeError, range_root
from audit.verification import storage
from audit.verification.findings import FAULTS, LogReport
from audit.verification.run import lost, verify
from kernel import db
from kernel.events import emit
from kernel.tenancy import across_tenants

_log = structlog.get_logger("innkeeper.audit.verification")


def reconcile(tenant_id: UUID | None = None) -> list[LogReport]:
    """Verify every log (or one tenant's) from its last good state; return those with faults.

    A fault is told once for each look: an entry of the tenant's log, the event
    ``audit.log_damaged``, and the gauge of damaged logs until a look finds none.
    """
    with db.use_alias("staff"), across_tenants():
        known = list(_known(tenant_id))
    damaged = _lost(tenant_id)
    for log_id, tenant, trusted in known:
        for report in verify(tenant, log_id=log_id, since=trusted).logs:
            with db.use_alias("staff"), across_tenants():
                _note(report)
            if not report.valid:
                damaged.append(report)
    return damaged


def _lost(tenant_id: UUID | None) -> list[LogReport]:
    """Tell logs that are gone as a whole."""
    with db.use_alias("sealer"), across_tenants():
        reports = lost(tenant_id, storage.heads(tenant_id))
    with db.use_alias("staff"), across_tenants():
        for report in reports:
            with audited():
                _tell(report, 1)
    return reports


def _known(tenant_id: UUID | None) -> Iterator[tuple[UUID, UUID, Checkpoint | None]]:
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT h.log_id, h.tenant_id, h.origin, v.size, v.root FROM audit_head h "
            "LEFT JOIN audit_verified v ON v.log_id = h.log_id AND v.faults = 0 AND v.size > 0 "
            "WHERE %s::uuid IS NULL OR h.tenant_id = %s ORDER BY h.tenant_id, h.stream, h.epoch",
            [tenant_id, tenant_id],
        )
        for log_id, tenant, origin, size, root in cursor.fetchall():
            trusted = Checkpoint(origin, size, bytes(root)) if size is not None else None
            yield log_id, tenant, trusted


def _note(report: LogReport) -> None:
    faults = sum(count for verdict, count in report.counts.items() if verdict in FAULTS)
    try:
        root = range_root(DatabaseTiles(report.log_id), report.size)
    except TreeError:
        root, faults = b"", faults or 1
    with audited():
        with db.cursor() as cursor:
            cursor.execute(
                "INSERT INTO audit_verified (log_id, tenant_id, size, root, faults) "
                "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (log_id) DO UPDATE SET "
                "size = excluded.size, root = excluded.root, faults = excluded.faults, "
                "at = clock_timestamp()",
                [report.log_id, report.tenant_id, report.size, root, faults],
            )
        if faults:
            _tell(report, faults)


def _tell(report: LogReport, faults: int) -> None:
    verdicts = tuple(sorted(one.value for one in report.counts if one in FAULTS))
    _log.error("log.damaged", log=str(report.log_id), verdicts=verdicts, first_bad=report.first_bad)
    record(
        action=LOG_DAMAGED.name,
        target_type="audit_log",
        target_id=report.log_id.hex,
        tenant_id=report.tenant_id,
        metadata={
            "faults": faults,
            "verdicts": list(verdicts),
            "first_bad": report.first_bad,
        },
        context=Context("system"),
    )
    emit(
        LogDamaged(
            tenant_id=report.tenant_id,
            log=report.log_id.hex,
            verdicts=verdicts,
            first_bad=report.first_bad,
        )
    )
