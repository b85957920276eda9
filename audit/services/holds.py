"""Legal holds: what one covers is neither pruned nor erased, until the operator releases it."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import orjson

from audit.actions import HOLD_RELEASED, HOLD_SET
from audit.models import Hold
from audit.queries.filters import moment, spellings
from audit.services.recording import audited, record
from kernel import db
from kernel.errors import Invalid, NotFound
from kernel.ids import encode, new_id

PREFIX: Final = "hld"
LONGEST_REASON: Final = 2_000
LONGEST_TERM: Final = 200
_IDS: Final = ("actor", "target", "person")
_TIMES: Final = ("from", "to")


def hold(tenant_id: UUID, *, reason: str, narrowed: Mapping[str, str] | None = None) -> Hold:
    """Hold a tenant's entries, all of them or those that a filter names. Runs as staff.

    The filter's members hold together: ``actor``, ``target``, ``person`` (who acted, was acted on
    or has personal values in the entry), ``action`` (exact, or ``key.*``), ``from`` and ``to`` (RFC
    3339, when it happened). It waits for erasures that run, and from its commit on there are none.

    Raises:
        kernel.errors.Invalid: no reason (``/reason``), a malformed filter (``/filter/…``).
    """
    if not 0 < len(reason.strip()) <= LONGEST_REASON:
        raise Invalid("Say why, in up to 2,000 characters.", pointer="/reason")
    stored = _filter(narrowed or {})
    made = Hold(id=new_id(), tenant_id=tenant_id, reason=reason.strip(), filter=stored)
    with audited():
        with db.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(audit_hold_key(%s))", [tenant_id])
            cursor.execute(
                "INSERT INTO audit_hold (id, tenant_id, reason, filter) "
                "VALUES (%s, %s, %s, %s::jsonb) RETURNING set_at",
                [made.id, tenant_id, made.reason, orjson.dumps(stored).decode()],
            )
            made.set_at = cursor.fetchone()[0]
        record(
            action=HOLD_SET.name,
            target_type="audit_hold",
            target_id=encode(PREFIX, made.id),
            tenant_id=tenant_id,
            metadata={"filter": dict(narrowed or {})},
            reason=made.reason,
        )
    return made


def release(hold_id: UUID, *, reason: str = "") -> Hold:
    """End a hold: what it covered follows the rules again. One that has ended stays so, unrecorded.

    Raises:
        kernel.errors.NotFound: there is no such hold.
    """
    with audited():
        found = Hold.objects.filter(id=hold_id).select_for_update().first()
        if found is None:
            raise NotFound
        if found.released_at is not None:
            return found
        with db.cursor() as cursor:
            cursor.execute(
                "UPDATE audit_hold SET released_at = clock_timestamp() WHERE id = %s "
                "RETURNING released_at",
                [hold_id],
            )
            found.released_at = cursor.fetchone()[0]
        record(
            action=HOLD_RELEASED.name,
            target_type="audit_hold",
            target_id=encode(PREFIX, hold_id),
            tenant_id=found.tenant_id,
            reason=reason,
        )
    return found


def _filter(given: Mapping[str, str]) -> dict[str, Any]:
    """Bring a filter into its stored form: ids in every spelling, times in UTC."""
    stored: dict[str, Any] = {}
    for name, value in given.items():
        if not value or len(value) > LONGEST_TERM:
            raise Invalid("1 to 200 characters.", pointer=f"/filter/{name}")
        if name in _IDS:
            stored[name] = spellings(value)
        elif name in _TIMES:
            stored[name] = moment(value, f"/filter/{name}").isoformat()
        elif name == "action":
            stored[name] = value
        else:
            raise Invalid(
                "A hold is narrowed by actor, target, person, action, from, to.",
                pointer=f"/filter/{name}",
            )
    return stored
