"""Erases a person from a tenant's log, so that every proof stays."""

from uuid import UUID

from audit.actions import PII_ERASED
from audit.encoding.erased import DIGEST
from audit.services.recording import record
from kernel import db
from kernel.errors import Conflict, Invalid
from kernel.ids import new_id
from kernel.tenancy import tenant_context

LONGEST_SUBJECT = 200


def erase_subject(tenant_id: UUID, subject_id: str, *, reason: str = "") -> int:
    """Delete the openings of a person's values: what stands in the leaves says nothing any more.

    The person is named by the opaque id that entries were recorded with as ``subject_id`` (actors:
    their own id). Data that left the system before (feeds, exports) is beyond reach: the entry
    that this leaves says so, and it fixes by a digest what was taken, so that an opening that is
    gone without it is found out. Repeating it is harmless.

    Returns:
        How many values were erased.

    Raises:
        kernel.errors.Invalid: the subject is empty or too long (pointer ``/subject``).
        kernel.errors.Conflict: a legal hold covers values of the person (``audit_legal_hold``);
            nothing is erased.
    """
    if not 0 < len(subject_id) <= LONGEST_SUBJECT:
        raise Invalid("Name the person by an id of 1 to 200 characters.", pointer="/subject")
    entry = new_id()
    with db.atomic(), tenant_context(tenant_id):
        with db.cursor() as cursor:
            cursor.execute(
                "SELECT erased, digest FROM audit_erase_subject(%s, %s, %s)",
                [tenant_id, subject_id, entry],
            )
            erased: int | None
            erased, taken = cursor.fetchone()
        if erased is None:
            raise Conflict(
                "A legal hold covers entries about this person: nothing was erased.",
                code="audit_legal_hold",
            )
        record(
            action=PII_ERASED.name,
            target_type="subject",
            target_id=subject_id,
            tenant_id=tenant_id,
            metadata={
                "values": erased,
                DIGEST: taken,
                "reach": "this log; not feeds and exports made before",
            },
            reason=reason,
            entry_id=entry,
        )
    return erased
