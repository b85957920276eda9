"""What the log asks of its callers."""

from typing import Final

from kernel.authz import Permission

READ: Final = Permission("audit:read", "Read the audit log", "Entries, proofs, checkpoints, feed.")
WRITE: Final = Permission(
    "audit:write", "Write to the audit log", "Record entries of the tenant's own applications."
)
MANAGE: Final = Permission(
    "audit:manage", "Manage the audit log", "Schemas of own entries, erasure of persons."
)
VIEW: Final = Permission(
    "audit:view", "Look through the audit log", "What a viewer token may, within its filter."
)
RETAIN: Final = Permission(
    "audit:retain",
    "Decide what the audit log keeps",
    "The operator's: rules of retention, legal holds.",
)
ALL: Final = (READ, WRITE, MANAGE, RETAIN, VIEW)
