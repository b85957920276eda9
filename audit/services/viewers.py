"""Viewer tokens: somebody looks through one tenant's log for a while, and does nothing else.

A token is a credential of the gate (256 bits, stored as a MAC, counted and limited like any key)
with the one permission ``audit:view``; a row of the log's binds it to a filter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import orjson

from audit.actions import VIEWER_CREATED, VIEWER_REVOKED
from audit.permissions import VIEW
from audit.services.recording import audited, record
from kernel import db
from kernel.errors import Invalid, NotFound
from kernel.gate import keys, projection
from kernel.ids import encode, new_id
from kernel.tenancy import current_tenant

PREFIX: Final = "auv"
LONGEST_MINUTES: Final = 1_440
TERMS: Final = frozenset(
    {
        "action",
        "actor",
        "actor_type",
        "target",
        "target_type",
        "outcome",
        "request_id",
        "from",
        "to",
    }
)
_LONGEST_TERM: Final = 200


@dataclass(frozen=True, slots=True)
class Viewer:
    """A token as it is remembered: never its secret."""

    id: UUID
    label: str
    filter: Mapping[str, str]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


def create(
    tenant_id: UUID, *, label: str, narrowed: Mapping[str, str], minutes: int
) -> tuple[Viewer, str]:
    """Make a token; return it with its text, which is shown once and stored nowhere.

    Raises:
        kernel.errors.Invalid: beyond 1 to 1,440 minutes (``/minutes``), an unknown filter term.
    """
    if not 1 <= minutes <= LONGEST_MINUTES:
        raise Invalid(f"1 to {LONGEST_MINUTES} minutes.", pointer="/minutes")
    for name, value in narrowed.items():
        if name not in TERMS or not 0 < len(value) <= _LONGEST_TERM:
            raise Invalid("No such term of a filter.", pointer=f"/filter/{name}")
    identifier, now = new_id(), datetime.now(UTC)
    minted = keys.mint(keys.TENANT)
    made = Viewer(identifier, label, dict(narrowed), now, now + timedelta(minutes=minutes))
    with audited():
        projection.put_credential(
            minted,
            key_id=identifier,
            lineage=identifier,
            tenant_id=tenant_id,
            permissions=[VIEW.name],
            expires_at=made.expires_at,
        )
        with db.cursor() as cursor:
            cursor.execute(
                "INSERT INTO audit_viewer (id, tenant_id, label, filter, created_at, expires_at) "
                "VALUES (%s, %s, %s, %s::jsonb, %s, %s)",
                [
                    identifier,
                    tenant_id,
                    label,
                    orjson.dumps(made.filter).decode(),
                    now,
                    made.expires_at,
                ],
            )
        record(
            action=VIEWER_CREATED.name,
            target_type="audit_viewer",
            target_id=encode(PREFIX, identifier),
            after={"filter": dict(narrowed), "expires_at": made.expires_at},
        )
    return made, minted.text


def revoke(viewer_id: UUID) -> None:
    """End a token: refused from the next request on. One that has ended stays so, unrecorded.

    Raises:
        kernel.errors.NotFound: the tenant of the context has no such token.
    """
    with audited():
        with db.cursor() as cursor:
            cursor.execute(
                "SELECT revoked_at FROM audit_viewer WHERE id = %s AND tenant_id = %s FOR UPDATE",
                [viewer_id, current_tenant()],
            )
            row = cursor.fetchone()
            if row is None:
                raise NotFound
            if row[0] is not None:
                return
            cursor.execute(
                "UPDATE audit_viewer SET revoked_at = clock_timestamp() WHERE id = %s", [viewer_id]
            )
        projection.set_credential_status(viewer_id, "revoked")
        record(
            action=VIEWER_REVOKED.name,
            target_type="audit_viewer",
            target_id=encode(PREFIX, viewer_id),
        )
