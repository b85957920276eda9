"""Reading the members of the tenant of the context."""

from uuid import UUID

from django.db.models import QuerySet

from accounts.models import Membership
from kernel.errors import NotFound


def missing() -> NotFound:
    """Make the error of a member that is not there."""
    return NotFound("There is no such member.", code="member_not_found")


def by_id(member_id: UUID) -> Membership:
    """Give one member.

    Raises:
        kernel.errors.NotFound: no such member, or another tenant's: the two look the same.
    """
    member = Membership.objects.filter(id=member_id).first()
    if member is None:
        raise missing()
    return member


def listed() -> QuerySet[Membership]:
    """Select all members."""
    return Membership.objects.all()
