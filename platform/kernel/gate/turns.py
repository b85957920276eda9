"""Single statements of a process take turns on one connection.

Eight threads that ask eight backends at once gain nothing on a core or two: the backends drive each
other's plans and catalogue out of the processor's caches, and the scheduler serves all of them a
little instead of one after the other. Taking turns keeps one backend warm, and whoever came first
is answered first (docs/adr/0142).
"""

import threading
from collections.abc import Sequence
from typing import Final

from kernel.gate.wire import HotConnection, Row, Statement, Value, hot

PATIENCE_S: Final = 0.002
"""How long to wait for a turn: several statements' time. A statement that waits for a lock may
hold the connection for a second, and must not hold up everybody."""


class Turns:
    """A connection for statements that are alone in their request, and neither read nor leave a
    tenant."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._connection = HotConnection()

    def row(self, statement: Statement, values: Sequence[Value]) -> Row:
        """Run a statement of exactly one row and give it: in turn, or over the request's own
        connection where no turn comes.

        Raises:
            kernel.errors.Unavailable: no connection, a timeout, or the server is going down.
            StatementError: any other refusal.
        """
        if not self._turn.acquire(timeout=PATIENCE_S):
            return hot().row(statement, values)
        try:
            return self._connection.row(statement, values)
        finally:
            self._turn.release()

    @property
    def calls(self) -> int:
        """Statements that were run in turn so far."""
        return self._connection.calls

    def close(self) -> None:
        """Drop the connection; the next turn opens another."""
        with self._turn:
            self._connection.close()


turns: Final = Turns()
"""The turns of this process."""
