"""Whose a subject is."""

from typing import Final
from uuid import UUID

from billing.usage.models import OPERATOR
from kernel import db, ids
from kernel.errors import NotFound, PreconditionFailed
from kernel.tenancy import tenant_or_none

# Attributed to a tenant, else described by one, else a tenant's own key or id.
_OWNER: Final = """
SELECT t.id, t.status FROM (
  SELECT a.tenant_id AS id, 1 AS rank FROM billing_usage_attribution a WHERE a.subject = $1
  UNION ALL
  SELECT s.scope, 2 FROM billing_subject s WHERE s.key = $1 AND s.scope <> $2::uuid
  UNION ALL
  SELECT t.id, 3 FROM tenants_tenant t WHERE t.slug = $1 OR t.id = $3::uuid
) AS found JOIN tenants_tenant t ON t.id = found.id
 WHERE t.id = coalesce($4::uuid, t.id) ORDER BY found.rank LIMIT 1
"""


def owner_of(subject: str) -> UUID:
    """Find the customer whose subject this is, among those that the context may see.

    Raises:
        kernel.errors.NotFound: a tenant asks for a subject that is not its own.
        kernel.errors.PreconditionFailed: the operator asks for one that has no customer, or whose
            customer is deleted.
    """
    id_ = ids.read(ids.TENANT, subject)
    own = tenant_or_none()
    row = next(iter(db.rows(_OWNER, [subject, OPERATOR, id_, own])), None)
    if row is None and own is not None:
        raise NotFound("There is no such subject.", code="subject_not_found")
    if row is None:
        raise PreconditionFailed("The subject has no customer.", code="subject_without_customer")
    if row[1] == "closed":
        raise PreconditionFailed("The customer is deleted.", code="customer_deleted")
    found: UUID = row[0]
    return found
