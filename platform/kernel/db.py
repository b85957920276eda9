"""Which database role the running code speaks as, and what happens before a commit.

Aliases: ``default`` (role app), ``staff`` (the operator's people and cross-tenant work), ``owner``
(migrations), ``sealer`` (audit sealing). The alias is a property of the context, not of the call:
every transaction, cursor and ORM query of this project goes through this module.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Protocol, TypeVar

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from psycopg import pq
from psycopg.adapt import PyFormat, Transformer

from kernel import statements


class Collector(Protocol):
    """Work that gathers over a transaction and runs once at its end."""

    def __call__(self) -> None:
        """Write what was gathered."""


C = TypeVar("C", bound=Collector)
Statement = tuple[str, str, Sequence[pq.abc.Buffer | None], bool]
"""Name, text, values, and whether those are in binary form."""

_alias: ContextVar[str] = ContextVar("innkeeper_database_alias", default="default")


class _Pending(threading.local):
    """Callbacks waiting for the end of this thread's outermost :func:`atomic` block, by alias.

    An alias is listed only while such a block is open.
    """

    def __init__(self) -> None:
        self.callbacks: dict[str, dict[Callable[[], None], None]] = {}
        self.wrappers: dict[str, BaseDatabaseWrapper] = {}
        self.last: dict[str, Statement] = {}
        self.touched = False


_pending = _Pending()


def alias() -> str:
    """Name the alias that the running code uses."""
    return _alias.get()


@contextmanager
def use_alias(name: str) -> Iterator[None]:
    """Speak as another role inside the block. Transactions of two aliases are two transactions."""
    token = _alias.set(name)
    try:
        yield
    finally:
        _alias.reset(token)


def connection() -> BaseDatabaseWrapper:
    """Give Django's connection of the current alias and thread."""
    _pending.touched = True
    return connections[alias()]


def touched() -> bool:
    """Tell whether this thread has used one of Django's connections since the last question."""
    was = _pending.touched
    _pending.touched = False
    return was


def cursor() -> CursorWrapper:
    """Open a cursor on the current alias."""
    return connection().cursor()


def recover() -> None:
    """Close this thread's connections that an error has left unusable: the next use reconnects.

    Requests need no such call, Django makes it at their end; loops of the worker do.
    """
    for opened in connections.all(initialized_only=True):
        opened.close_if_unusable_or_obsolete()


@contextmanager
def atomic() -> Iterator[None]:
    """Run the block in one transaction of the current alias; nested blocks join the outermost.

    A failure inside rolls everything back: there are no savepoints, so a caught error inside a
    nested block leaves the transaction unusable. Callbacks of :func:`before_commit` run last.
    """
    name, wrapper = alias(), connection()
    outermost = not wrapper.in_atomic_block
    if outermost:
        _pending.callbacks[name] = {}
        _pending.wrappers[name] = wrapper
    try:
        with transaction.atomic(using=name, savepoint=False):
            yield
            if outermost:
                _run_callbacks(name)
                _run_last(name, wrapper)
    finally:
        if outermost:
            _pending.callbacks.pop(name, None)
            _pending.wrappers.pop(name, None)
            _pending.last.pop(name, None)


def in_transaction() -> bool:
    """Tell whether a transaction of the current alias is open."""
    return alias() in _pending.callbacks or connection().in_atomic_block


def may_defer() -> bool:
    """Tell whether work can wait for :func:`before_commit`.

    It cannot in a transaction that Django opened by itself (its admin does), where nothing would
    run the callback, nor inside a savepoint, whose rollback would not undo the registration.
    """
    wrapper = _pending.wrappers.get(
        alias()
    )  # Django's own look-up is slow, and this is often asked
    return wrapper is not None and not any(wrapper.savepoint_ids)


def before_commit(callback: Callable[[], None]) -> None:
    """Run ``callback`` once as the last work of the open transaction; the same one is kept once.

    Raises:
        TransactionRequiredError: no atomic() block of this module is open on the current alias.
    """
    if alias() not in _pending.callbacks:
        raise TransactionRequiredError("before_commit() needs an open kernel.db.atomic() block")
    _pending.callbacks[alias()][callback] = None


def enlist(kind: type[C]) -> C:
    """Give the open transaction's own callback of class ``kind``, made at the first call.

    For work that collects over a transaction and is written once at its end: the collector goes
    with the transaction, whether that commits or rolls back.

    Raises:
        TransactionRequiredError: no atomic() block of this module is open on the current alias.
    """
    for callback in _pending.callbacks.get(alias(), ()):
        if isinstance(callback, kind):
            return callback
    collector = kind()
    before_commit(collector)
    return collector


def _run_callbacks(name: str) -> None:
    waiting = _pending.callbacks.get(name)
    while waiting:
        callback = next(iter(waiting))
        del waiting[callback]
        callback()


class TransactionRequiredError(RuntimeError):
    """The call belongs inside a transaction, and none is open."""


class RoleRouter:
    """Send every ORM query to the alias of the context, and migrations to the owner."""

    def db_for_read(self, model: type[Any], **hints: Any) -> str:
        """Read as the current role."""
        _pending.touched = True
        return alias()

    def db_for_write(self, model: type[Any], **hints: Any) -> str:
        """Write as the current role."""
        _pending.touched = True
        return alias()

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool:
        """All aliases are one database."""
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        """Only the owner changes the schema."""
        return db == "owner"


def rows(sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a statement whose text never changes as a prepared one, and give its rows, typed.

    Django's cursors write the values into the text, which PostgreSQL then parses and plans anew:
    of a short statement's 0.17 ms that is 0.1 (measured: docs/adr/0090). Placeholders are ``$1``
    with a cast where the type does not follow. It runs in the open transaction, if there is one.

    Raises:
        django.db.utils.DatabaseError: as any statement on this connection.
    """
    wrapper = connection()
    wrapper.ensure_connection()
    wrapper.validate_no_broken_transaction()
    execute: Callable[..., Any] = _execute_typed
    for around in reversed(wrapper.execute_wrappers):
        execute = partial(around, execute)
    with wrapper.wrap_database_errors:
        found: list[tuple[Any, ...]] = execute(sql, values, False, {"connection": wrapper})
    return found


def _execute_typed(
    sql: str, values: Sequence[Any], _: bool, context: dict[str, Any]
) -> list[tuple[Any, ...]]:
    raw = context["connection"].connection
    adapter = Transformer(raw)
    texts = adapter.dump_sequence(values, (PyFormat.TEXT,) * len(values))
    result = _execute_prepared(raw, f"rows {sql}", sql, texts)
    adapter.set_pgresult(result)
    return adapter.load_rows(0, result.ntuples, tuple)


def prepared_row(
    name: str, sql: str, values: Sequence[pq.abc.Buffer | None], binary: bool = False
) -> list[bytes | None]:
    """Run a named prepared statement of one row on Django's current connection.

    The statement uses libpq placeholders ($1). Values are text, or all of them in PostgreSQL's
    binary form. It runs in the open transaction, if there is one.

    Raises:
        psycopg.Error: as any statement on this connection.
    """
    wrapper = connection()
    wrapper.ensure_connection()
    with wrapper.wrap_database_errors:
        result = _execute_prepared(wrapper.connection, name, sql, values, binary)
    return [result.get_value(0, column) for column in range(result.nfields)]


def prepared_last(
    name: str, sql: str, values: Sequence[pq.abc.Buffer | None], binary: bool = False
) -> None:
    """Run such a statement, without an answer, as the last one: in one round trip with COMMIT.

    It runs after all callbacks of :func:`before_commit`; a fault is raised at the end of the
    outermost :func:`atomic` block and rolls all back. Where another one waits already, that one
    runs at once.

    Raises:
        TransactionRequiredError: no atomic() block of this module is open on the current alias.
    """
    if alias() not in _pending.callbacks:
        raise TransactionRequiredError("prepared_last() needs an open kernel.db.atomic() block")
    waiting = _pending.last.pop(alias(), None)
    if waiting is not None:
        prepared_row(*waiting)
    _pending.last[alias()] = (name, sql, values, binary)


def _run_last(name: str, wrapper: BaseDatabaseWrapper) -> None:
    """Run what waits for the end, and commit with it where Django would commit next."""
    statement = _pending.last.pop(name, None)
    if statement is None or wrapper.needs_rollback:
        return
    if not wrapper.commit_on_exit:
        prepared_row(*statement)
        return
    wrapper.ensure_connection()
    with wrapper.wrap_database_errors:
        statements.run_and_commit(wrapper.connection, *statement)


def _execute_prepared(
    raw: Any,
    name: str,
    sql: str,
    values: Sequence[pq.abc.Buffer | None],
    binary: bool = False,
) -> pq.abc.PGresult:
    """Run a statement on psycopg's connection, preparing it there at its first use."""
    pgconn, short = raw.pgconn, statements.prepared(raw, name, sql)
    if not raw.autocommit and pgconn.transaction_status == pq.TransactionStatus.IDLE:
        # psycopg would send it before its own first statement
        statements.checked(pgconn.exec_(b"BEGIN"))
    formats = [pq.Format.BINARY] * len(values) if binary else None
    return statements.checked(pgconn.exec_prepared(short, values, formats))
