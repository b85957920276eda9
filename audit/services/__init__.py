"""The log's only way in, for every app above.

Inside the transaction of a change, say what changes::

    from audit.services import audited, record

    with audited():
        key.status = "revoked"
        key.save(update_fields=["status"])
        record(
            action="key.revoked",            # registered in accounts/actions.py
            target_type="key",
            target_id=encode("key", key.id),
            before={"status": "active"},
            after={"status": "revoked"},
        )

- ``audited()`` is ``kernel.db.atomic()`` under a telling name; nested blocks join the outermost
  one, and a request's unsafe method is one already. All entries of a transaction are ONE insert,
  its last statement.
- Actor, request id, address and browser come from the running request; the tenant from the context
  (pass ``tenant_id=`` for another one, such as a tenant that is just being made).
- A failed INSERT of the entry fails the change. A rolled-back change leaves no entry.
- Declare actions in ``<app>/actions.py`` with :class:`audit.registry.Action` and register them in
  the AppConfig's ``ready()``. Personal fields named there stand in the entry as salted commitments
  only.
- Refused and failed attempts and sensitive reads have a transaction of their own:
  :func:`record_denied`, :func:`record_failed`, :func:`record_read`.
- Critical tables add :class:`audit.guard.AuditGuard` to their migration: then a commit that touches
  them without an entry of the same tenant fails, whoever wrote it.
"""

from audit.models import Outcome, Stream
from audit.services.apart import record_denied, record_failed, record_read
from audit.services.context import Context
from audit.services.entry import Target
from audit.services.recording import Receipt, audited, record

__all__ = [
    "Context",
    "Outcome",
    "Receipt",
    "Stream",
    "Target",
    "audited",
    "record",
    "record_denied",
    "record_failed",
    "record_read",
]
