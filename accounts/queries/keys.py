"""Reading the keys of the tenant of the context."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import ApiKey
from kernel.errors import Invalid, NotFound
from kernel.tenancy.direct import Direct

_NAMED: Final = "id = ANY ($1::uuid[])"
_KEYS: Final = Direct(ApiKey)
STATUSES = ("active", "expired", "revoked")


def by_id(key_id: UUID) -> ApiKey:
    """Give one key.

    Raises:
        kernel.errors.NotFound: no such key, or another tenant's: the two look the same.
    """
    key = ApiKey.objects.filter(id=key_id).first()
    if key is None:
        raise NotFound("There is no such key.", code="key_not_found")
    return key


def locked(key_id: UUID) -> ApiKey:
    """Give one key and hold its row until the transaction ends.

    Raises:
        kernel.errors.NotFound: no such key, or another tenant's: the two look the same.
    """
    for key in _KEYS.read("id = $1::uuid", [key_id], "FOR UPDATE"):
        return key
    raise NotFound("There is no such key.", code="key_not_found")


def listed(*, status: str | None = None) -> QuerySet[ApiKey]:
    """Select keys, all or by status.

    Raises:
        kernel.errors.Invalid: no such status.
    """
    rows: QuerySet[ApiKey] = ApiKey.objects.all()
    now = timezone.now()
    match status:
        case None | "":
            return rows
        case "active":
            return rows.filter(revoked_at=None, expires_at__gt=now)
        case "expired":
            return rows.filter(revoked_at=None, expires_at__lte=now)
        case "revoked":
            return rows.exclude(revoked_at=None)
    raise Invalid(f"status is one of {', '.join(STATUSES)}.", pointer="/query/status")


class NamedKeys:
    """How accounts answers the kernel's port ``key_names`` (:class:`kernel.ports.KeyNames`)."""

    def names_of(self, key_ids: Sequence[UUID]) -> dict[UUID, str]:
        """Name keys of the tenant of the context, ended ones too; others have no entry."""
        return {key.id: key.name for key in _KEYS.read(_NAMED, [list(key_ids)])}
