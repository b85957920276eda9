"""The tenant of the running context, and its mirror ``app.tenant`` on the connection."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from kernel import db


class TenantRequiredError(RuntimeError):
    """Tenant-owned data was asked for where no tenant is set: a fault of the program."""


class AllTenants:
    """The scope of cross-tenant work of staff."""


ALL_TENANTS: Final = AllTenants()
_ACROSS_ALIASES = frozenset({"staff", "owner", "sealer"})

_scope: ContextVar[UUID | AllTenants | None] = ContextVar("innkeeper_tenant", default=None)
_set_next: ContextVar[bool] = ContextVar("innkeeper_tenant_set_next", default=False)


def scope() -> UUID | AllTenants | None:
    """Give the raw scope: a tenant, all tenants, or none."""
    return _scope.get()


def tenant_or_none() -> UUID | None:
    """Give the tenant of the context; None without one or across tenants."""
    value = _scope.get()
    return value if isinstance(value, UUID) else None


def current_tenant() -> UUID:
    """Give the tenant of the context.

    Raises:
        TenantRequiredError: none is set.
    """
    value = _scope.get()
    if isinstance(value, UUID):
        return value
    raise TenantRequiredError("no tenant is set: enter tenant_context(tenant_id) first")


@contextmanager
def adopted(tenant_id: UUID | None) -> Iterator[None]:
    """Work for a tenant that the gate has already set on this connection; None: for no tenant."""
    token = _scope.set(tenant_id)
    try:
        yield
    finally:
        _scope.reset(token)


@contextmanager
def tenant_context(tenant_id: UUID) -> Iterator[None]:
    """Work for one tenant inside the block, in the ORM and on the current alias's connection.

    At its end the connection is set to the tenant of the surrounding context, or to none: what the
    setting held before is not believed, since a checkout inside the block may have made it.
    """
    token = _scope.set(tenant_id)
    connection, local = _set_on_connection(db.connection())
    try:
        yield
    finally:
        _scope.reset(token)
        _restore_on_connection(connection, local)


@contextmanager
def across_tenants() -> Iterator[None]:
    """Work on all tenants inside the block: for staff and for the owner's migrations only.

    Raises:
        TenantRequiredError: the current alias is the app's.
    """
    if db.alias() not in _ACROSS_ALIASES:
        raise TenantRequiredError(f"the role of alias {db.alias()!r} may not cross tenants")
    token = _scope.set(ALL_TENANTS)
    try:
        yield
    finally:
        _scope.reset(token)


def _text() -> str:
    value = _scope.get()
    return str(value) if isinstance(value, UUID) else ""


def _set_on_connection(connection: BaseDatabaseWrapper) -> tuple[BaseDatabaseWrapper, bool]:
    """Mirror the scope in ``app.tenant``; tell whether only for the open transaction.

    Inside a transaction the setting must be local: a session-level setting made in a transaction
    that rolls back returns to the former tenant (measured: docs/adr/0080).
    """
    local = connection.in_atomic_block
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant', %s, %s)", [_text(), local])
    return connection, local


def _restore_on_connection(connection: BaseDatabaseWrapper, local: bool) -> None:
    if connection.connection is None or connection.needs_rollback:
        return  # a new checkout starts clean; an aborted transaction restores by itself
    if local and not connection.in_atomic_block:
        return
    _set_on_connection(connection)


@contextmanager
def set_next() -> Iterator[None]:
    """Leave ``app.tenant`` of a checkout to the one statement of the block, the gate's.

    That statement clears the setting before it looks at anything. If it fails, nobody has: the
    connection is given back, so that the next checkout sets it.
    """
    token = _set_next.set(True)
    try:
        yield
    except BaseException:
        db.connection().close()
        raise
    finally:
        _set_next.reset(token)


def reset_on_checkout(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Set the tenant of the context, or none, whenever a connection is opened or checked out.

    So a reconnect inside a block keeps working for the same tenant and for no other. A request's
    first statement is the gate's, which does it itself: see :func:`set_next`.
    """
    if _set_next.get():
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant', %s, false)", [_text()])


def connect_signals() -> None:
    """Arm the reset; called once by the kernel's AppConfig."""
    connection_created.connect(reset_on_checkout, dispatch_uid="kernel.tenancy.reset")
