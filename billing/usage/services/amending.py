"""Voiding and correcting events: an append-only record, never a change of what was sent."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from django.db import OperationalError

from audit.registry import Action
from audit.services import audited, record
from billing.usage import actions
from kernel import db
from kernel.authz import current_principal
from kernel.errors import FieldError, Invalid, NotFound, Unavailable
from kernel.ids import new_id

LONGEST_REASON: Final = 1000
PATIENCE: Final = "500ms"
"""How long an amendment waits for reports of its type and day, which queue behind it meanwhile."""
_AMEND: Final = (
    "WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', $9, true))"
    " SELECT billing_usage_amend($1::uuid, $2::uuid, $3, $4, $5, $6::jsonb, $7, $8) FROM patience"
)
_NOT_TO_BE_HAD: Final = "55P03"


def void(*, tenant_id: UUID, source: str, event_id: str, reason: str) -> None:
    """Let an event of the tenant count for nothing from now on. Again is allowed.

    Raises:
        kernel.errors.NotFound: the tenant has no such event.
        kernel.errors.Invalid: no reason, or one that is too long.
        kernel.errors.Unavailable: reports of its type and day are in hand for long.
    """
    _amend(
        "void",
        actions.EVENT_VOIDED,
        tenant_id=tenant_id,
        source=source,
        event_id=event_id,
        data=None,
        reason=reason,
    )


def correct(
    *, tenant_id: UUID, source: str, event_id: str, data: dict[str, Any], reason: str
) -> None:
    """Let an event count with other data from now on, also one that was void.

    Raises:
        kernel.errors.NotFound: the tenant has no such event.
        kernel.errors.Invalid: no reason, or one that is too long.
        kernel.errors.Unavailable: reports of its type and day are in hand for long.
    """
    _amend(
        "correct",
        actions.EVENT_CORRECTED,
        tenant_id=tenant_id,
        source=source,
        event_id=event_id,
        data=data,
        reason=reason,
    )


def _amend(
    kind: str,
    action: Action,
    *,
    tenant_id: UUID,
    source: str,
    event_id: str,
    data: dict[str, Any] | None,
    reason: str,
) -> None:
    if not 0 < len(reason.strip()) <= LONGEST_REASON:
        message = f"A reason has 1 to {LONGEST_REASON} characters."
        raise Invalid(message, errors=[FieldError("/reason", "invalid", message)])
    amendment_id, actor = new_id(), current_principal()
    text = None if data is None else orjson.dumps(data).decode()
    who = f"{actor.kind}:{actor.id or actor.label}"
    with audited():
        values = (amendment_id, tenant_id, source, event_id, kind, text, reason, who, PATIENCE)
        if not _amended(values):
            raise NotFound("There is no such event.", code="event_not_found")
        record(
            action=action.name,
            target_type="event",
            target_id=f"{source} {event_id}",
            tenant_id=tenant_id,
            metadata={"amendment": str(amendment_id)},
            reason=reason,
        )


def _amended(values: Sequence[object]) -> bool:
    """Write the amendment; tell whether there is such an event.

    Raises:
        kernel.errors.Unavailable: reports of its type and day are in hand for long.
    """
    try:
        return bool(db.rows(_AMEND, values)[0][0])
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != _NOT_TO_BE_HAD:
            raise
        raise Unavailable("Reports of that day are in hand. Try again.", retry_after=1) from error
