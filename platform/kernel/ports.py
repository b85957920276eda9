"""Typed ports: how sibling apps ask each other a question without importing each other.

The kernel names the question, ``config/composition.py`` binds who answers. mypy checks the bind
line; an unbound port raises and names the port.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from django.http import HttpRequest

from kernel.authz import Principal

T = TypeVar("T")


class UnboundPortError(RuntimeError):
    """Nothing was bound to the port: see config/composition.py."""


class Port(Generic[T]):
    """A named place for one implementation of ``T``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._implementation: T | None = None

    def bind(self, implementation: T) -> None:
        """Set who answers. Binding again replaces (tests bind in-memory implementations)."""
        self._implementation = implementation

    def __call__(self) -> T:
        """Give the bound implementation.

        Raises:
            UnboundPortError: the composition root bound none.
        """
        if self._implementation is None:
            raise UnboundPortError(f"port {self.name} is not bound in config/composition.py")
        return self._implementation

    @property
    def bound(self) -> bool:
        """Tell whether an implementation is there (start-up check)."""
        return self._implementation is not None


class Plans(Protocol):
    """What a tenant buys."""

    def assign(self, tenant_id: UUID, plan_key: str) -> None:
        """Give the tenant the newest version of the plan, in the open transaction.

        Raises:
            kernel.errors.Invalid: no such plan (pointer ``/plan``).
        """

    def key_of(self, tenant_id: UUID) -> str | None:
        """Name the plan that the tenant has now; None without one."""

    def keys_of(self, tenant_ids: list[UUID]) -> dict[UUID, str]:
        """Name the plans of many tenants in one query."""


class Owners(Protocol):
    """Who owns a tenant."""

    def invite(self, tenant_id: UUID, email: str) -> None:
        """Make the person of ``email`` an owner of the tenant, in the open transaction."""


class UsageRecorder(Protocol):
    """Where metered use goes."""

    def record(
        self, *, tenant_id: UUID, meter: str, quantity: Decimal, event_id: str, data: dict[str, Any]
    ) -> None:
        """Write one usage event for the meter, in the open transaction, counted once per id.

        Raises:
            kernel.errors.Invalid: no such meter (pointer ``/meter/slug``).
        """

    def recorded(self, tenant_id: UUID, event_id: str) -> bool:
        """Tell whether the tenant of the context has an event that was recorded with this id."""


class KeyNames(Protocol):
    """What a tenant calls its keys."""

    def names_of(self, key_ids: Sequence[UUID]) -> dict[UUID, str]:
        """Name keys of the tenant of the context, ended ones too; others have no entry."""


class StaffSessions(Protocol):
    """Who of the operator's staff is signed in."""

    def principal(self, request: HttpRequest) -> Principal:
        """Name the member of staff whose session the request's cookie carries, with permissions.

        Runs as staff. A method that may change something needs the CSRF token beside the cookie.

        Raises:
            kernel.errors.Unauthenticated: the session has ended, or never was.
            kernel.errors.Forbidden: a person who is no staff, or the token is missing.
        """


plans: Port[Plans] = Port("plans")
owners: Port[Owners] = Port("owners")
usage: Port[UsageRecorder] = Port("usage")
key_names: Port[KeyNames] = Port("key_names")
staff_sessions: Port[StaffSessions] = Port("staff_sessions")
ALL: tuple[Port[Any], ...] = (plans, owners, usage, key_names, staff_sessions)
