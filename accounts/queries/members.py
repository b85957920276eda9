"""Reading the members of the tenant of the context."""

from uuid import UUID

from django.db.models import QuerySet

from accounts.models import Membership
from accounts.roles import OWNER
from kernel.errors import NotFound


def by_id(member_id: UUID, *, lock: bool = False) -> Membership:
    """Give one member; ``lock`` holds its row until the transaction ends.

    Raises:
        kernel.errors.NotFound: no such member, or another tenant's: the two look the same.
    """
    rows = Membership.objects.select_for_update() if lock else Membership.objects.all()
    member = rows.filter(id=member_id).first()
    if member is None:
        raise NotFound("There is no such member.", code="member_not_found")
    return member


def listed() -> QuerySet[Membership]:
    """Select all members."""
    return Membership.objects.all()


def owners(*, lock: bool = False) -> list[Membership]:
    """Give the tenant's owners by id; ``lock`` holds their rows until the transaction ends."""
    rows = Membership.objects.select_for_update() if lock else Membership.objects.all()
    return list(rows.filter(role=OWNER.key).order_by("id"))
