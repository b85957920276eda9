"""One verb: record what happened, in the transaction in which it happens."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from audit.models import PLATFORM_TENANT, Outcome, Stream
from audit.origin import instance_origin
from audit.registry import registry
from audit.services.buffer import EntryBuffer, write
from audit.services.context import Context, current_context
from audit.services.entry import Draft, Entry, Target, build
from kernel import db
from kernel.tenancy import tenant_or_none


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the caller may hand out: the entry's id and the hash it will be sealed under."""

    event_id: UUID
    leaf_hash: bytes


@contextmanager
def audited() -> Iterator[None]:
    """Open (or join) the transaction of a change whose entries are written as its last statement.

    The same as :func:`kernel.db.atomic`; the name says at the call what the block promises.
    """
    with db.atomic():
        yield


def record(
    *,
    action: str,
    target_type: str = "",
    target_id: UUID | str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    tenant_id: UUID | None = None,
    outcome: Outcome = Outcome.SUCCESS,
    more_targets: Sequence[Target] = (),
    metadata: Mapping[str, Any] | None = None,
    reason: str = "",
    subject_id: UUID | str = "",
    stream: Stream = Stream.PLATFORM,
    occurred_at: datetime | None = None,
    context: Context | None = None,
    entry_id: UUID | None = None,
) -> Receipt:
    """Record one action in the open transaction: no entry, no change, and the other way round.

    Args:
        action: a name from the registry.
        target_type: the noun acted on, for example ``key``.
        target_id: its public id.
        before: fields as they were; None when the thing is new.
        after: fields as they are; None when it is gone. Where both are given only differences stay.
        tenant_id: whose log; by default the tenant of the context, else the instance's own.
        outcome: how the attempt ended.
        more_targets: further things acted on.
        metadata: further facts, none of them personal unless the action says so.
        reason: free text of a person; kept as a commitment.
        subject_id: the person whom personal fields concern; by default the target.
        stream: the platform's own log of the tenant, or that of the tenant's applications.
        occurred_at: when it happened, if not now.
        context: actor and request; by default those of the running request or job.
        entry_id: the entry's id (UUIDv7), where something beside it has to name it already.

    Returns:
        The receipt. The entry is there once the transaction has committed.

    Raises:
        kernel.db.TransactionRequiredError: no transaction is open.
        audit.registry.UnknownActionError: no app registered the action.
        audit.encoding.canonical.EncodingRefusedError: a value has no certain byte form (a float).
    """
    if not db.in_transaction():
        raise db.TransactionRequiredError(f"{action}: record() belongs inside audited()")
    targets = [Target(target_type, str(target_id))] if target_type or target_id else []
    draft = Draft(
        action=registry.get(action),
        tenant_id=tenant_id or tenant_or_none() or PLATFORM_TENANT,
        stream=stream,
        targets=[*targets, *more_targets],
        before=before,
        after=after,
        metadata=metadata,
        reason=reason,
        outcome=outcome,
        subject_id=str(subject_id),
        occurred_at=occurred_at,
        entry_id=entry_id,
    )
    entry = build(draft, context or current_context(), origin=instance_origin())
    keep(entry)
    return Receipt(entry.id, entry.leaf_hash)


def keep(entry: Entry) -> None:
    """Put a ready entry into the open transaction.

    It waits for the end of the transaction where that is safe. Inside a savepoint, or in a
    transaction that Django opened by itself, it is written at once, so that whatever undoes the
    change undoes the entry.
    """
    if db.may_defer():
        db.enlist(EntryBuffer).entries.append(entry)
    else:
        write([entry])
