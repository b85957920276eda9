"""Viewer tokens of a tenant, and what the token of a request may see."""

from collections.abc import Mapping
from uuid import UUID

import orjson

from audit.services.viewers import Viewer
from kernel import db
from kernel.errors import NotFound
from kernel.tenancy import current_tenant


def listed(tenant_id: UUID, limit: int, before: UUID | None) -> list[Viewer]:
    """Return a page of a tenant's tokens, newest first, ended ones too."""
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT id, label, filter, created_at, expires_at, revoked_at FROM audit_viewer "
            "WHERE tenant_id = %s AND (%s::uuid IS NULL OR id < %s) ORDER BY id DESC LIMIT %s",
            [tenant_id, before, before, limit],
        )
        return [Viewer(row[0], row[1], orjson.loads(row[2]), *row[3:]) for row in cursor.fetchall()]


def filter_of(viewer_id: UUID | None) -> Mapping[str, str]:
    """Return the filter that a token is bound to.

    Raises:
        kernel.errors.NotFound: the credential is no viewer token, or none of this tenant.
    """
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT filter FROM audit_viewer WHERE id = %s AND tenant_id = %s",
            [viewer_id, current_tenant()],
        )
        row = cursor.fetchone()
    if row is None:
        raise NotFound("Only a viewer token may look here; see audit/viewer-tokens.")
    found: Mapping[str, str] = orjson.loads(row[0])
    return found
