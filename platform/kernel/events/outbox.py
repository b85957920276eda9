"""Writing the outbox: one INSERT in the transaction of the change, and nothing else."""

import orjson

from kernel import db
from kernel.events.event import DomainEvent
from kernel.events.registry import registry

_INSERT = """
INSERT INTO kernel_outbox
       (id, tenant_id, name, payload, occurred_at, available_at, ordering_key, position)
VALUES (%s, %s, %s, %s, %s, statement_timestamp(), %s,
        CASE WHEN %s THEN nextval('kernel_outbox_position') END)
"""


def emit(event: DomainEvent) -> None:
    """Store the event in the open transaction and run its reactions there.

    Raises:
        kernel.db.TransactionRequiredError: no transaction is open.
        Exception: whatever a reaction raises; the transaction then rolls back.
    """
    if not db.in_transaction():
        raise db.TransactionRequiredError(f"{event.name} is emitted outside a transaction")
    key = event.ordering_key()
    with db.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [
                event.id,
                event.tenant_id,
                event.name,
                orjson.dumps(event.payload(), default=str).decode(),
                event.occurred_at,
                key,
                key is not None,
            ],
        )
    for reaction in registry.reactions(event):
        reaction(event)
