"""The short way to PostgreSQL for hot statements: one prepared statement, one round trip.

Django's cursor costs about as much as the statement itself (docs/adr/0084), so the gate talks
to libpq through psycopg's own bindings: named prepared statements, autocommit, text results. A
thread holds a connection for the length of a request; it never carries a transaction or a tenant
from one to the next, since every gate statement sets or clears the tenant itself.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psycopg
from django.conf import settings
from psycopg import pq

from kernel import statements
from kernel.errors import Unavailable

STATEMENT_TIMEOUT_MS = 2_000
LOCK_TIMEOUT_MS = 1_000
MAX_REPEATS = 3
REPEATABLE = frozenset({"40001", "40P01"})  # serialization failure, deadlock
Value = bytes | None
Row = list[Value]


@dataclass(frozen=True, slots=True)
class Statement:
    """A named statement with libpq placeholders; ``binary`` lists the parameters sent as bytes."""

    name: str
    sql: str
    parameters: int
    binary: frozenset[int] = frozenset()
    formats: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        formats = tuple(int(index in self.binary) for index in range(self.parameters))
        object.__setattr__(self, "formats", formats)


Call = tuple[Statement, Sequence[Value]]
_BEGIN = Statement("begin", "BEGIN", parameters=0)
_ROLLBACK = Statement("rollback", "ROLLBACK", parameters=0)
_END: Call = (Statement("commit", "COMMIT", parameters=0), [])


class StatementError(Exception):
    """PostgreSQL refused the statement; ``sqlstate`` is its five-character code."""

    def __init__(self, sqlstate: str, message: str) -> None:
        super().__init__(f"{sqlstate}: {message}")
        self.sqlstate = sqlstate


class InDoubtError(Unavailable):
    """The connection was lost over a COMMIT: what it was to commit may stand or not."""


class _RefusedError(Exception):
    """PostgreSQL refused a statement of a transaction."""

    def __init__(self, result: pq.abc.PGresult) -> None:
        super().__init__()
        self.result = result


class _LostError(Exception):
    """The connection is gone, ``committing`` if a COMMIT was on its way."""

    def __init__(self, *, committing: bool = False) -> None:
        super().__init__()
        self.committing = committing


class HotConnection:
    """One autocommitting connection of the app role with prepared statements."""

    def __init__(self, alias: str = "default") -> None:
        self._alias = alias
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._prepared: set[str] = set()
        self.calls = 0

    def rows(self, statement: Statement, values: Sequence[Value]) -> list[Row]:
        """Run the statement and give its rows as raw text values.

        Raises:
            kernel.errors.Unavailable: no connection, a timeout, or the server is going down.
            StatementError: any other refusal.
        """
        result = self._execute(statement, values)
        width = range(result.nfields)
        return [
            [result.get_value(row, column) for column in width] for row in range(result.ntuples)
        ]

    def row(self, statement: Statement, values: Sequence[Value]) -> Row:
        """Run a statement of exactly one row and give it."""
        result = self._execute(statement, values)
        get = result.get_value
        return [get(0, column) for column in range(result.nfields)]

    def transact(
        self,
        calls: Sequence[Call],
        after: Callable[[list[list[Row]]], Sequence[Call]] | None = None,
    ) -> list[list[Row]]:
        """Run statements in one transaction, committed when this returns; give the rows of each.

        They are sent as one message, with COMMIT. With ``after`` what that makes of the rows goes
        in a second message, and COMMIT with it. A deadlock lets all happen anew, ``after`` too.

        Raises:
            InDoubtError: the connection was lost over the COMMIT, which may have happened.
            kernel.errors.Unavailable: no connection, a timeout, or the server is going down;
                nothing has happened.
            StatementError: any other refusal; nothing has happened.
        """
        left = MAX_REPEATS
        while True:
            fresh = self._connection is None
            try:
                return self._transacted(calls, after)
            except _LostError as lost:
                self.close()
                if lost.committing:
                    raise InDoubtError(
                        "The database did not say whether this was done. Ask again; with an"
                        " Idempotency-Key it is done once.",
                        retry_after=1,
                    ) from lost
                if fresh:
                    raise unavailable() from lost
                # The server closed an idle connection before this reached it.
            except _RefusedError as refused:
                if _sqlstate(refused.result) not in REPEATABLE or not left:
                    raise self._failure(refused.result) from refused
                left -= 1
                self._attempt(_ROLLBACK, [])

    def _transacted(
        self, calls: Sequence[Call], after: Callable[[list[list[Row]]], Sequence[Call]] | None
    ) -> list[list[Row]]:
        begun: list[Call] = [(_BEGIN, []), *calls]
        if after is None:
            return self._send([*begun, _END])[1:-1]
        found = self._send(begun)[1:]
        try:
            more = after(found)
        except BaseException:
            self.close()
            raise
        self._send([*more, _END])
        return found

    def _send(self, calls: Sequence[Call]) -> list[list[Row]]:
        """Send statements as one message; give the rows of each.

        Raises:
            _RefusedError: PostgreSQL refused one; none after it was run.
            _LostError: the connection is gone.
        """
        self.calls += 1
        pgconn = self._open().pgconn
        for statement, _ in calls:
            refused = self._prepare(statement)
            if refused is not None:
                raise _LostError if self._lost() else _RefusedError(refused)
        lost = _LostError(committing=calls[-1] is _END)
        try:
            pgconn.enter_pipeline_mode()
            for statement, values in calls:
                pgconn.send_query_prepared(statement.name.encode(), values, statement.formats)
            pgconn.pipeline_sync()
            results = list(statements.results(pgconn))
            pgconn.exit_pipeline_mode()
        except psycopg.Error as error:
            raise lost from error
        except BaseException:
            self.close()
            raise
        for result in results:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise _RefusedError(result)
        return [
            [
                [result.get_value(row, column) for column in range(result.nfields)]
                for row in range(result.ntuples)
            ]
            for result in results
        ]

    @property
    def backend(self) -> int:
        """The process id of the server's side; 0 while there is no connection."""
        return self._connection.info.backend_pid if self._connection else 0

    def close(self) -> None:
        """Drop the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._prepared.clear()

    def __del__(self) -> None:
        self.close()

    def _execute(self, statement: Statement, values: Sequence[Value]) -> pq.abc.PGresult:
        self.calls += 1
        fresh = self._connection is None
        result = self._attempt(statement, values)
        if result.status == pq.ExecStatus.FATAL_ERROR and not fresh and self._lost():
            # The server closed an idle connection before this statement reached it.
            self.close()
            result = self._attempt(statement, values)
        for _ in range(MAX_REPEATS):
            if result.status in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
                return result
            if _sqlstate(result) not in REPEATABLE:
                break
            # Each statement is a transaction: what PostgreSQL rolled back can be asked again.
            result = self._attempt(statement, values)
        raise self._failure(result)

    def _attempt(self, statement: Statement, values: Sequence[Value]) -> pq.abc.PGresult:
        pgconn = self._open().pgconn
        refused = self._prepare(statement)
        if refused is not None:
            return refused
        return pgconn.exec_prepared(statement.name.encode(), values, statement.formats)  # type: ignore[arg-type]  # None is NULL

    def _prepare(self, statement: Statement) -> pq.abc.PGresult | None:
        """Prepare a statement at its first use; give the refusal, if it is one."""
        if statement.name not in self._prepared:
            pgconn = self._open().pgconn
            prepared = pgconn.prepare(statement.name.encode(), statement.sql.encode())
            if prepared.status != pq.ExecStatus.COMMAND_OK:
                return prepared
            self._prepared.add(statement.name)
        return None

    def _open(self) -> psycopg.Connection[tuple[object, ...]]:
        if self._connection is None:
            try:
                self._connection = psycopg.connect(
                    conninfo(self._alias),
                    autocommit=True,
                    options=f"-c statement_timeout={STATEMENT_TIMEOUT_MS}"
                    f" -c lock_timeout={LOCK_TIMEOUT_MS}",
                    application_name="innkeeper-gate",
                )
            except psycopg.OperationalError as error:
                raise unavailable() from error
        return self._connection

    def _lost(self) -> bool:
        connection = self._connection
        return connection is not None and connection.pgconn.status == pq.ConnStatus.BAD

    def _failure(self, result: pq.abc.PGresult) -> Exception:
        sqlstate = _sqlstate(result)
        message = (result.error_message or b"").decode(errors="replace").strip()
        # A failed gate call restores the former tenant setting by its rollback: never reuse it.
        self.close()
        if sqlstate == "" or sqlstate[:2] in ("08", "53", "57") or sqlstate == "55P03":
            return unavailable()
        return StatementError(sqlstate, message)


def _sqlstate(result: pq.abc.PGresult) -> str:
    return (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()


def unavailable() -> Unavailable:
    """Make the error of a gate that cannot be reached: closed, never open."""
    return Unavailable("The admission gate does not answer. Try again.", retry_after=1)


def conninfo(alias: str) -> str:
    """Write the libpq connection string of a Django database alias."""
    database = settings.DATABASES[alias]
    facts = {
        "host": database.get("HOST"),
        "port": database.get("PORT"),
        "dbname": database["NAME"],
        "user": database.get("USER"),
        "password": database.get("PASSWORD"),
    }
    return psycopg.conninfo.make_conninfo("", **{k: v for k, v in facts.items() if v})


@dataclass(slots=True)
class _Pair:
    """The connections that one request may speak over; each opens at its first statement."""

    app: HotConnection = field(default_factory=HotConnection)
    staff: HotConnection = field(default_factory=lambda: HotConnection("staff"))


class _PerThread(threading.local):
    held: _Pair | None = None


_threads = _PerThread()
_idle: list[_Pair] = []


def hot() -> HotConnection:
    """Give the connection that this thread holds until :func:`release`."""
    return (_threads.held or _take()).app


def hot_staff() -> HotConnection:
    """Give the one of the staff role, for the operator's cross-tenant reads."""
    return (_threads.held or _take()).staff


def release() -> None:
    """Let other threads have what this one holds: the request is over.

    What was used last is taken first: its backend is the likeliest to have plans and catalogue in
    the processor's caches still (docs/adr/0126).
    """
    if _threads.held is not None:
        _idle.append(_threads.held)
        _threads.held = None


def _take() -> _Pair:
    try:
        held = _idle.pop()
    except IndexError:
        held = _Pair()
    _threads.held = held
    return held
