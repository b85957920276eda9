"""Writing the outbox: one INSERT in the transaction of the change, and nothing else."""

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
