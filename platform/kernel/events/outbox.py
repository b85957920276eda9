"""Writing the outbox: one INSERT in the transaction of the change, and nothing else."""

from uuid import UUID

import orjson

from kernel import db
from kernel.events.event import DomainEvent
from kernel.events.registry import registry

_INSERT = """
INSERT INTO kernel_outbox
       (id, tenant_id, name, payload, occurred_at, available_at, ordering_key, position)
VALUES ($1::uuid, $2::uuid, $3::text, $4::jsonb, $5::timestamptz, statement_timestamp(), $6::text,
        CASE WHEN $6 IS NOT NULL THEN nextval('kernel_outbox_position') END)
"""
_REVIVE = """
UPDATE kernel_outbox SET dead_at = NULL, attempts = 0, available_at = clock_timestamp()
 WHERE id = $1::uuid AND dead_at IS NOT NULL RETURNING id
"""


def emit(event: DomainEvent) -> None:
    """Store the event in the open transaction and run its reactions there.

    Raises:
        kernel.db.TransactionRequiredError: no transaction is open.
        Exception: whatever a reaction raises; the transaction then rolls back.
    """
    if not db.in_transaction():
        raise db.TransactionRequiredError(f"{event.name} is emitted outside a transaction")
    db.rows(
        _INSERT,
        [
            event.id,
            event.tenant_id,
            event.name,
            orjson.dumps(event.payload(), default=str).decode(),
            event.occurred_at,
            event.ordering_key(),
        ],
    )
    for reaction in registry.reactions(event):
        reaction(event)


def revive(event_id: UUID) -> bool:
    """Let a dead event be told again, as if for the first time; false if it is none (staff)."""
    return bool(db.rows(_REVIVE, [event_id]))
