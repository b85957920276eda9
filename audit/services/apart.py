"""Entries about what changed nothing: refused and failed attempts, sensitive reads.

Each has a short transaction of its own, after the request's was rolled back or beside it.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from audit.actions import ACCESS_DENIED, DATA_READ
from audit.models import Outcome
from audit.services.context import Context
from audit.services.recording import Receipt, record
from kernel import db

_NOT_AWAITED: Final = "SET LOCAL synchronous_commit = off"


def record_denied(
    *,
    action: str = ACCESS_DENIED.name,
    target_type: str = "route",
    target_id: str = "",
    tenant_id: UUID | None = None,
    metadata: Mapping[str, Any] | None = None,
    context: Context | None = None,
) -> Receipt:
    """Record an attempt that was refused. Call it after the rollback, outside any transaction."""
    with db.atomic():
        return record(
            action=action,
            target_type=target_type,
            target_id=target_id,
            tenant_id=tenant_id,
            metadata=metadata,
            context=context,
            outcome=Outcome.DENIED,
        )


def record_failed(
    *,
    action: str,
    target_type: str = "",
    target_id: str = "",
    tenant_id: UUID | None = None,
    metadata: Mapping[str, Any] | None = None,
    context: Context | None = None,
) -> Receipt:
    """Record an attempt that failed, such as a sign-in with a wrong password."""
    with db.atomic():
        return record(
            action=action,
            target_type=target_type,
            target_id=target_id,
            tenant_id=tenant_id,
            metadata=metadata,
            context=context,
            outcome=Outcome.FAILED,
        )


def record_read(
    *,
    action: str = DATA_READ.name,
    target_type: str = "route",
    target_id: str = "",
    tenant_id: UUID | None = None,
    metadata: Mapping[str, Any] | None = None,
    context: Context | None = None,
) -> Receipt:
    """Record a sensitive read.

    The commit does not wait for the disk: a crash may lose the last fraction of a second of reads.
    """
    with db.atomic():
        db.prepared_row("audit_apart", _NOT_AWAITED, ())
        return record(
            action=action,
            target_type=target_type,
            target_id=target_id,
            tenant_id=tenant_id,
            metadata=metadata,
            context=context,
        )
