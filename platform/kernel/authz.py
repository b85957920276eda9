"""Permissions, principals and what a route asks for.

A permission is text ``resource:action``, registered by the app that guards it. A grant may use
``*`` for one segment (``keys:*``, ``*:read``, ``*:*``); wildcards mean the same in grants and in
questions. Text, not bit numbers: keys also carry permissions of the operator's own product.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

PERMISSION_PATTERN = re.compile(r"^([a-z][a-z0-9_.-]{0,62}|\*):([a-z][a-z0-9_.-]{0,62}|\*)$")


@dataclass(frozen=True, slots=True)
class Permission:
    """A named right: ``name`` is ``resource:action``, ``label`` and ``help`` are for people."""

    name: str
    label: str
    help: str = ""


class Registry:
    """All permissions of the system. Names are unique; unknown names raise."""

    def __init__(self) -> None:
        self._by_name: dict[str, Permission] = {}

    def register(self, *permissions: Permission) -> None:
        """Add permissions.

        Raises:
            ValueError: a malformed name, or one that is registered already.
        """
        for permission in permissions:
            if "*" in permission.name or not PERMISSION_PATTERN.fullmatch(permission.name):
                raise ValueError(f"{permission.name!r} is not resource:action")
            if permission.name in self._by_name:
                raise ValueError(f"permission {permission.name} is registered twice")
            self._by_name[permission.name] = permission

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def all(self) -> list[Permission]:
        """List the permissions by name."""
        return sorted(self._by_name.values(), key=lambda permission: permission.name)


registry = Registry()


def permits(granted: Collection[str], wanted: str) -> bool:
    """Tell whether the grants cover the permission, wildcards included."""
    if wanted in granted:
        return True
    resource, _, action = wanted.partition(":")
    return f"{resource}:*" in granted or f"*:{action}" in granted or "*:*" in granted


def missing(granted: Collection[str], wanted: Iterable[str]) -> list[str]:
    """List the wanted permissions that the grants do not cover, in order."""
    return [name for name in wanted if not permits(granted, name)]


class Scope(StrEnum):
    """Whose data a route works on."""

    PUBLIC = "public"  # nobody's: no credential is asked for
    TENANT = "tenant"  # one tenant's: its own key, or a platform key that names the tenant
    ANY_TENANT = "any_tenant"  # a tenant's own, or a platform key without a named tenant
    OPERATOR = "operator"  # the operator's: platform keys and staff


@dataclass(frozen=True, slots=True)
class Access:
    """What one method of a route asks for. ``permission`` is None only where scope is PUBLIC.

    ``sensitive`` reads leave an audit entry; ``secret`` answers are never compressed.
    """

    permission: str | None
    scope: Scope
    sensitive: bool = False
    secret: bool = False


PUBLIC = Access(None, Scope.PUBLIC)


class PrincipalKind(StrEnum):
    """What sort of caller a request has."""

    ANONYMOUS = "anonymous"
    TENANT_KEY = "tenant_key"
    PLATFORM_KEY = "platform_key"
    STAFF = "staff"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request is: kind, id, the tenant it acts for (None: no single one), its grants.

    ``lineage`` is the identity that survives a rotation: it scopes idempotency keys.
    """

    kind: PrincipalKind
    id: UUID | None = None
    label: str = ""
    tenant_id: UUID | None = None
    permissions: frozenset[str] = frozenset()
    lineage: UUID | None = None
    versions: Mapping[str, int] = field(default_factory=dict)

    def may(self, permission: str) -> bool:
        """Tell whether the grants cover the permission."""
        return permits(self.permissions, permission)


ANONYMOUS = Principal(PrincipalKind.ANONYMOUS)
SYSTEM = Principal(PrincipalKind.SYSTEM, label="innkeeper", permissions=frozenset({"*:*"}))

_principal: ContextVar[Principal] = ContextVar("innkeeper_principal", default=ANONYMOUS)


def current_principal() -> Principal:
    """Give the principal of the running request or job; ANONYMOUS where none was set."""
    return _principal.get()


def set_principal(principal: Principal) -> None:
    """Set the principal for the rest of the running context."""
    _principal.set(principal)
