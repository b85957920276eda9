"""The service ``audit-anchors`` of the worker: each anchor in its time, failures with pauses."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, connections

from audit import metrics
from audit.actions import ANCHOR_FAILING, ANCHOR_RECOVERED
from audit.anchoring import evidence
from audit.anchoring.configured import TARGET, Anchor, configured, reconcile
from audit.anchoring.errors import AnchorError
from audit.events import AnchorFailing
from audit.models import HEADS_STREAM, PLATFORM_TENANT
from audit.services.recording import record
from kernel import db, events
from kernel.acting import as_system
from kernel.ids import new_id

POLL_S: Final = 5.0
LEASE_S: Final = 60.0
"""For how long an attempt keeps other workers from the same anchor: twice its deadline."""
FIRST_PAUSE_S: Final = 30.0
LONGEST_PAUSE_S: Final = 3600.0
FAILING: Final = 5
"""Failures in a row from which an anchor is told as failing."""
_log = structlog.get_logger("innkeeper.audit.anchors")

_DUE: Final = """
UPDATE audit_anchor_state s
   SET tried_at = clock_timestamp(), next_at = clock_timestamp() + make_interval(secs => %s)
  FROM (SELECT c.log_id, c.size, c.note FROM audit_checkpoint c JOIN audit_head h USING (log_id)
         WHERE h.tenant_id = %s AND h.stream = %s ORDER BY h.epoch DESC, c.size DESC LIMIT 1) n
 WHERE s.name = %s AND s.next_at <= clock_timestamp()
   AND (s.log_id IS DISTINCT FROM n.log_id OR s.size < n.size)
RETURNING n.log_id, n.size, n.note, CASE WHEN s.log_id = n.log_id THEN s.size ELSE 0 END, s.failures
"""
_TAKEN: Final = """
UPDATE audit_anchor_state
   SET log_id = %s, size = %s, anchored_at = clock_timestamp(), failures = 0, last_error = '',
       next_at = clock_timestamp() + make_interval(secs => %s)
 WHERE name = %s
"""
_KEEP: Final = """
INSERT INTO audit_anchor (id, log_id, size, tenant_id, kind, proof) VALUES (%s, %s, %s, %s, %s, %s)
"""
_FAILED: Final = """
UPDATE audit_anchor_state
   SET failures = failures + 1, last_error = %s,
       next_at = clock_timestamp() + make_interval(secs => %s)
 WHERE name = %s
"""


@dataclass(frozen=True, slots=True)
class Due:
    """A note that an anchor has not taken yet, and what it saw last."""

    log_id: UUID
    size: int
    note: str
    seen: int
    failures: int


def run_anchors(stop: threading.Event) -> None:
    """Anchor until told to stop. Without anchors in the settings it only waits."""
    anchors = configured()
    reconciled = False
    with as_system():
        while not stop.is_set():
            try:
                if not reconciled:
                    reconcile(anchors)
                    reconciled = True
                for anchor in anchors:
                    attempt(anchor)
                measure()
            except (OperationalError, InterfaceError) as error:
                _log.warning("database.away", error=str(error).strip())
                connections["staff"].close()
            stop.wait(POLL_S)


def attempt(anchor: Anchor) -> bool:
    """Give the anchor the newest note if that is due; tell whether it took one. As staff."""
    due = _due(anchor)
    if due is None:
        return False
    try:
        proof = anchor.take(due.log_id, due.note, due.seen)
        evidence.keep(anchor.kind, anchor.name, due.note, proof)
    except (AnchorError, OSError) as error:
        _count_failure(anchor, due, str(error))
        return False
    with db.atomic():
        with db.cursor() as cursor:
            cursor.execute(_TAKEN, [due.log_id, due.size, anchor.every_s, anchor.name])
            cursor.execute(
                _KEEP,
                [new_id(), due.log_id, due.size, PLATFORM_TENANT, anchor.kind, proof],
            )
        if due.failures >= FAILING:
            _record(ANCHOR_RECOVERED.name, anchor)
    return True


def measure() -> None:
    """Show the age of each anchor and its failures."""
    with db.cursor() as cursor:
        cursor.execute("SELECT name, anchored_at, failures FROM audit_anchor_state")
        rows = cursor.fetchall()
    now = datetime.now(UTC)
    for name, anchored_at, failures in rows:
        metrics.anchor_failures.labels(name).set(failures)
        if anchored_at is not None:
            metrics.anchor_age_seconds.labels(name).set((now - anchored_at).total_seconds())


def _due(anchor: Anchor) -> Due | None:
    with db.cursor() as cursor:
        cursor.execute(_DUE, [LEASE_S, PLATFORM_TENANT, HEADS_STREAM, anchor.name])
        row = cursor.fetchone()
    return Due(*row) if row else None


def _count_failure(anchor: Anchor, due: Due, reason: str) -> None:
    pause = min(FIRST_PAUSE_S * 2 ** min(due.failures, 16), LONGEST_PAUSE_S)
    _log.warning("anchor.failed", anchor=anchor.name, why=reason, failures=due.failures + 1)
    with db.atomic():
        with db.cursor() as cursor:
            cursor.execute(_FAILED, [reason[:200], pause, anchor.name])
        if due.failures + 1 == FAILING:
            _record(ANCHOR_FAILING.name, anchor)
            events.emit(AnchorFailing(anchor=anchor.name, last_error=reason[:200]))


def _record(action: str, anchor: Anchor) -> None:
    record(action=action, target_type=TARGET, target_id=anchor.name, tenant_id=PLATFORM_TENANT)
