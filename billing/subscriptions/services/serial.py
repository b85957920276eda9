"""One change of what a tenant has at a time: plans, overrides and their projection."""

from uuid import UUID

from kernel import db


def serialise(tenant_id: UUID) -> None:
    """Wait until no other change of the tenant's plan or overrides is under way.

    Holds until the transaction ends; the next statement sees what the change before has written.
    """
    db.rows(
        "SELECT pg_advisory_xact_lock(hashtextextended('subscription ' || $1::text, 0))",
        [str(tenant_id)],
    )
