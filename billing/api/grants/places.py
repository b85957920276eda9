"""Whose entitlements a path names: a customer's in version 2, a subject's in version 1."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Final
from uuid import UUID

from billing import permissions
from billing.entitlements.models.effective import Snapshot
from billing.entitlements.queries.snapshots import snapshot_of
from billing.entitlements.queries.streams import zone_of
from billing.subscriptions.queries.customers import living_id
from billing.subscriptions.queries.owners import owner_of
from billing.usage.api import parameters
from billing.usage.api.reach import reach
from kernel.authz import Access, Scope, current_principal
from kernel.errors import NotFound
from kernel.http.endpoint import Endpoint

READ: Final = Access(permissions.ENTITLEMENTS_READ.name, Scope.ANY_TENANT)
MANAGE: Final = Access(permissions.ENTITLEMENTS_MANAGE.name, Scope.OPERATOR)
_MOST_PAGES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """A customer, and the subject that named it in version 1."""

    tenant_id: UUID
    subject: str | None

    @property
    def v1(self) -> bool:
        """Tell whether answers have the shapes of version 1."""
        return self.subject is not None


class AtPlace(Endpoint):
    """A route below a customer or below a subject."""

    access: ClassVar = {}

    @contextmanager
    def reading(self, where: dict[str, str]) -> Iterator[tuple[Place, Snapshot]]:
        """Read as the tenant, or as the operator; give the place and what decides there.

        Raises:
            kernel.errors.NotFound: no such customer, or none that the caller may know of.
            kernel.errors.PreconditionFailed: it is deleted, or the subject belongs to nobody.
        """
        with reach():
            place = self.place(where)
            yield place, snapshot_of(current_principal(), place.tenant_id)

    def place(self, where: dict[str, str]) -> Place:
        """Find whom the path names; raises as :meth:`reading` does.

        An operator that names a tenant in a header reaches no other.
        """
        subject = where.get("subject")
        found = living_id(where["customer"]) if subject is None else owner_of(subject)
        named = current_principal().tenant_id
        if named is not None and named != found:
            raise NotFound("There is no such customer.", code="customer_not_found")
        return Place(found, subject)


@dataclass(frozen=True, slots=True)
class Slice:
    """Which part of a list is asked for: numbered pages, or an offset with a limit."""

    page: int
    size: int
    first: int
    numbered: bool

    @classmethod
    def read(cls, query: Any) -> "Slice":
        """Read page, pageSize, offset and limit.

        Raises:
            kernel.errors.Invalid: one of them is none, or out of range.
        """
        page = parameters.number(query, "page", 1, _MOST_PAGES)
        size = parameters.number(query, "pageSize" if "pageSize" in query else "limit", 100)
        first = (page - 1) * size
        if "page" not in query and query.get("offset", "0") != "0":
            first = parameters.number(query, "offset", 1, _MOST_PAGES)
        return cls(page, size, first, "page" in query)

    def paged(self, total: int, items: list[dict[str, Any]]) -> dict[str, Any]:
        """Write a numbered page."""
        return {"totalCount": total, "page": self.page, "pageSize": self.size, "items": items}

    def of(self, items: list[Any]) -> list[Any]:
        """Cut a whole list."""
        return items[self.first : self.first + self.size]


def zones(snapshot: Snapshot) -> dict[UUID, Any]:
    """Give the zone of each feature's periods, by feature id."""
    return {fact.id: zone_of(snapshot, fact) for fact in snapshot.features.values()}


def clock() -> datetime:
    """Give the instant that an answer shows."""
    return datetime.now(UTC)
