"""Rows of one statement in batches, from one snapshot, for answers of any length.

An answer is streamed after its view has ended, by whichever thread of the server is free, at the
pace of its reader: the cursor cannot live on a request's connection. It has one of its own, whose
transaction sees what was committed when it began and nothing later, so that no row is skipped or
given twice whoever writes meanwhile. It is bounded: so many at once in a process, a quarter of an
hour each, a minute between two batches. Why: docs/adr/0118.
"""

import atexit
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.types.string import TextLoader

from kernel.errors import Unavailable
from kernel.gate.wire import conninfo

BATCH: Final = 250
"""Rows that are in memory at a time."""
AT_ONCE: Final = 4
"""How many a process reads at the same time."""
_LONGEST_S: Final = 900
_PAUSE_S: Final = 60
_BEGIN: Final = """
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SET LOCAL transaction_timeout = '{longest}s';
SET LOCAL idle_in_transaction_session_timeout = '{pause}s';
SET LOCAL timezone = 'UTC';
SELECT set_config('app.tenant', '{tenant}', true);
DECLARE export NO SCROLL CURSOR FOR {statement};
{fetch}
"""
_FETCH: Final = f"FETCH FORWARD {BATCH} FROM export"
_slots: Final = threading.BoundedSemaphore(AT_ONCE)

Batch = list[tuple[Any, ...]]
Link = psycopg.Connection[tuple[Any, ...]]
_idle: Final[deque[Link]] = deque()
"""At most one connection that waits for the next export: to open one costs as much as a small
export. Threads take and give whole items, which needs no lock."""


class Rows:
    """The rows of a statement, read as the app role for one tenant. JSON comes as text.

    It must be closed, or read to its end. It may be read by another thread than the one that made
    it, though by one at a time.
    """

    def __init__(self, statement: str, parameters: Mapping[str, Any], tenant_id: UUID) -> None:
        """Begin, and read the first batch; what is wrong with the statement shows here.

        Raises:
            kernel.errors.Unavailable: the database cannot be reached, or too many exports run.
        """
        self._connection: Link | None = None
        self._holds = _slots.acquire(blocking=False)
        if not self._holds:
            raise Unavailable(
                f"{AT_ONCE} exports are running here. Try again when one of them has ended.",
                code="exports_busy",
                retry_after=5,
            )
        try:
            self._first = self._begin(statement, parameters, tenant_id)
        except psycopg.OperationalError as error:
            self.close()
            raise Unavailable("The database does not answer.", retry_after=1) from error
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Batch]:
        """Give the batches, and close at the end or at the first failure.

        Raises:
            psycopg.Error: the database ended the transaction. What was given is incomplete.
        """
        try:
            batch = self._first
            while batch:
                yield batch
                batch = [] if len(batch) < BATCH else self._fetch(_FETCH)
        finally:
            self.close()

    def close(self) -> None:
        """Give up what is held; a second time does nothing."""
        connection, self._connection = self._connection, None
        if connection is not None:
            _give_back(connection)
        if self._holds:
            self._holds = False
            _slots.release()

    def __del__(self) -> None:
        self.close()

    def _begin(self, statement: str, parameters: Mapping[str, Any], tenant_id: UUID) -> Batch:
        self._connection = _connected()
        written = psycopg.ClientCursor(self._connection).mogrify(statement, parameters)
        begin = _BEGIN.format(
            longest=_LONGEST_S, pause=_PAUSE_S, tenant=tenant_id, statement=written, fetch=_FETCH
        )
        first = self._fetch(begin)
        if len(first) < BATCH:
            self.close()  # that was everything
        return first

    def _fetch(self, statement: str) -> Batch:
        if self._connection is None:  # an end here would pass for the end of the rows
            raise psycopg.InterfaceError("closed between two batches")
        cursor = psycopg.ClientCursor(self._connection)
        cursor.execute(statement.encode())
        while cursor.nextset():
            pass
        return cursor.fetchall()


def _connected() -> Link:
    """Take the connection that waits, if it still lives, or open one."""
    try:
        waiting = _idle.pop()
    except IndexError:
        return _opened()
    try:
        waiting.execute("")
    except psycopg.OperationalError:
        waiting.close()
        return _opened()
    return waiting


def _opened() -> Link:
    link = psycopg.connect(
        conninfo("default"), autocommit=True, application_name="innkeeper-export"
    )
    link.adapters.register_loader("jsonb", TextLoader)
    return link


def _give_back(connection: Link) -> None:
    """End the transaction, which also forgets the tenant; keep one connection for the next."""
    try:
        connection.execute("ROLLBACK")
    except psycopg.Error:
        connection.close()
        return
    if _idle:
        connection.close()
    else:
        _idle.append(connection)


@atexit.register
def _hang_up() -> None:
    """Close the connection that waits when the process ends."""
    while _idle:
        _idle.pop().close()
