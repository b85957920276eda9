"""Reading the operator's own keys (alias staff)."""

from uuid import UUID

from django.db.models import QuerySet

from accounts.models import PlatformKey
from kernel.errors import NotFound


def by_id(key_id: UUID, *, lock: bool = False) -> PlatformKey:
    """Give one platform key; ``lock`` holds its row until the transaction ends.

    Raises:
        kernel.errors.NotFound: no such key.
    """
    rows = PlatformKey.objects.select_for_update() if lock else PlatformKey.objects.all()
    key = rows.filter(id=key_id).first()
    if key is None:
        raise NotFound("There is no such key.", code="key_not_found")
    return key


def listed() -> QuerySet[PlatformKey]:
    """Select all platform keys."""
    return PlatformKey.objects.all()
