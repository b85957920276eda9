"""Where the sealer stands: the window's lower end, and for which cluster it holds."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from audit.sealing.window import ALWAYS
from kernel import db

_RESTORE_SLACK: Final = timedelta(hours=1)
_log = structlog.get_logger("innkeeper.audit.sealer")

_FACTS: Final = """
SELECT (SELECT system_identifier::text FROM pg_control_system()),
       pg_snapshot_xmax(pg_current_snapshot())::text,
       clock_timestamp()
"""


@dataclass(frozen=True, slots=True)
class State:
    """No entry below transaction `low`, recorded since `since`, is without a place."""

    low: int
    since: datetime
    reconcile: bool = False
    """The cluster is another one: look at everything once, then forget the old transaction ids."""


def read(shard: int) -> State:
    """Return the sealer's position, locking it for the open transaction.

    After a restore into another cluster, transaction ids begin anew and restored rows keep their
    old, larger ones: the window starts from zero, and is limited by time once everything has been
    looked at.
    """
    with db.cursor() as cursor:
        cursor.execute(_FACTS)
        identifier, now_xid, _ = cursor.fetchone()
        cursor.execute(
            "SELECT low::text, system_identifier, since FROM audit_sealer_state "
            "WHERE shard = %s FOR UPDATE",
            [shard],
        )
        row = cursor.fetchone()
        if row is None:
            cursor.execute(
                "INSERT INTO audit_sealer_state (shard, low, system_identifier, since) "
                "VALUES (%s, '0', %s, %s)",
                [shard, identifier, ALWAYS],
            )
            return State(0, ALWAYS)
        low, known, since = int(row[0]), row[1], row[2]
        if known == identifier and low <= int(now_xid):
            return State(low, since)
        _log.warning("cluster.changed", known=known, found=identifier, low=low, xid=now_xid)
        return State(0, ALWAYS, reconcile=True)


def advance(shard: int, low: int) -> None:
    """Move the lower end of the window."""
    with db.cursor() as cursor:
        cursor.execute(
            "UPDATE audit_sealer_state SET low = %s::xid8 WHERE shard = %s", [str(low), shard]
        )


def reconciled(shard: int, low: int) -> None:
    """Note that everything of the former cluster has its place."""
    with db.cursor() as cursor:
        cursor.execute(_FACTS)
        identifier, _, now = cursor.fetchone()
        cursor.execute(
            "UPDATE audit_sealer_state SET low = %s::xid8, system_identifier = %s, since = %s "
            "WHERE shard = %s",
            [str(low), identifier, now - _RESTORE_SLACK, shard],
        )
