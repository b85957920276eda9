"""The heads log: one log over the states of all logs, so that one anchored note fixes them all.

Once a minute the (alias, size, root) of every log that grew is appended to it. A tenant's proof is
then: its entry in its log, its log's state in the heads log, the heads log's state in the anchored
note.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from audit.encoding.canonical import encode
from audit.models import HEADS_STREAM, PLATFORM_TENANT
from audit.sealing import checkpoints, heads, keys
from audit.tree.hashes import leaf_hash
from kernel import db
from kernel.ids import new_id
from kernel.tenancy import across_tenants

INTERVAL: Final = 60.0
"""Seconds between two looks: the longest time for which a state stands unanchored."""

_CHANGED: Final = """
SELECT h.log_id, h.tenant_id, h.size, h.root FROM audit_head h
WHERE h.stream <> %s AND h.size > 0
  AND NOT EXISTS (SELECT 1 FROM audit_heads_entry e
                  WHERE e.log_id = h.log_id AND e.size = h.size AND e.heads_log = %s)
ORDER BY h.log_id
"""


@dataclass(frozen=True, slots=True)
class State:
    """The state of one log as the heads log will tell it."""

    log_id: UUID
    tenant_id: UUID
    size: int
    root: bytes

    def leaf(self, alias: str) -> bytes:
        """Return the bytes that the heads log hashes."""
        return encode({"v": 1, "log": alias, "size": self.size, "root": self.root.hex()})


def publish() -> int:
    """Append the states of changed logs, then sign and anchor the heads log.

    Returns:
        How many logs had changed.
    """
    with db.use_alias("sealer"), across_tenants():
        with db.atomic():
            log_id, count = _append()
        if count:
            checkpoints.issue(log_id)
    return count


def _append() -> tuple[UUID, int]:
    key = (PLATFORM_TENANT, HEADS_STREAM)
    head = heads.lock([key])[key]
    with db.cursor() as cursor:
        cursor.execute(_CHANGED, [HEADS_STREAM, head.log_id])
        states = [State(row[0], row[1], row[2], bytes(row[3])) for row in cursor.fetchall()]
        if not states:
            return head.log_id, 0
        first, ring, now = head.frontier.size, keys.ring(), datetime.now(UTC)
        rows = [
            (new_id(), index, state, state.leaf(ring.log_alias(state.log_id)))
            for index, state in enumerate(states, first)
        ]
        with cursor.copy(
            "COPY audit_heads_entry "
            "(heads_log, id, leaf_index, log_id, tenant_id, size, root, leaf) FROM STDIN"
        ) as copy:
            for identifier, index, state, leaf in rows:
                copy.write_row(
                    (
                        head.log_id,
                        identifier,
                        index,
                        state.log_id,
                        state.tenant_id,
                        state.size,
                        state.root,
                        leaf,
                    )
                )
    heads.extend(head, [heads.Placed(row[0], now, leaf_hash(row[3])) for row in rows])
    return head.log_id, len(rows)
