"""A door of single events that is held up, so that those sent next gather."""

import json
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from billing.usage.cloudevents import Event, decode
from billing.usage.services.grouping import WAY, Arrival, Door
from kernel import db
from kernel.gate.admission import admit
from kernel.gate.company import Caller
from kernel.gate.presented import credential
from kernel.gate.wire import HotConnection, Statement, StatementError, release
from tests.billing.house import House, make_house
from tests.billing.usage.reports import as_staff, event, word
from tests.waiting import until

PATIENCE = 20.0


class Held(HotConnection):
    """A connection whose statements wait for ``let_go``, once ``hold`` was called."""

    def __init__(self) -> None:
        super().__init__()
        self._failing = ""
        self._open_now = threading.Event()
        self._open_now.set()

    def hold(self) -> None:
        self._open_now.clear()

    def let_go(self) -> None:
        self._open_now.set()

    def fail_once(self, name: str) -> None:
        """Let the next such statement fail as PostgreSQL's refusals do: the connection closes."""
        self._failing = name

    def row(self, statement: Statement, values: Any) -> Any:
        assert self._open_now.wait(PATIENCE)
        if self._failing == statement.name:
            self._failing = ""
            self.close()
            raise StatementError("XX000", "as the test wished")
        return super().row(statement, values)


class Queue:
    """A door with an event under way that is held up, so that those sent next gather."""

    def __init__(self) -> None:
        self.connection = Held()
        self.door = Door(self.connection)
        self._pool = ThreadPoolExecutor(16)

    def start(self, house: House) -> "Future[Arrival]":
        """Send the event that all others wait for."""
        known(house.key)
        self.connection.hold()
        future = self._send(arrival(house.key, event(word())))
        until("the queue stands so", lambda: self.door.gathered.waiting(WAY) == 0)
        return future

    def add(self, key: str, sent: dict[str, Any] | None) -> "Future[Arrival]":
        """Send an event from another thread; give what becomes of it, which is still to come."""
        place = (self.door.gathered.waiting(WAY) or 0) + 1
        future = self._send(arrival(key, sent))
        until("the queue stands so", lambda: self.door.gathered.waiting(WAY) == place)
        return future

    def _send(self, one: Arrival) -> "Future[Arrival]":
        def enter() -> Arrival:
            try:
                self.door.enter(one)
                return one
            finally:
                release()

        return self._pool.submit(enter)

    def go(self) -> None:
        self.connection.let_go()

    def close(self) -> None:
        self.go()
        self._pool.shutdown()
        self.connection.close()


def arrival(key: str, sent: dict[str, Any] | None) -> Arrival:
    presented = credential(key)
    assert presented is not None
    return Arrival(key, Caller(presented, "127.0.0.1"), None if sent is None else read(sent))


def read(sent: dict[str, Any]) -> Event:
    return decode(json.dumps(sent).encode(), "application/json")[0]


def known(*keys: str) -> None:
    """Use keys once: the first use of a day is admitted alone."""
    connection = HotConnection()
    for key in keys:
        assert admit(connection, key, ip=None, permission="events:write").code == "VALID"
    connection.close()


def known_house(plan: str = "enterprise") -> House:
    made = make_house(plan)
    known(made.key)
    return made


def codes(futures: "list[Future[Arrival]]") -> list[str]:
    found = [future.result(PATIENCE) for future in futures]
    return [one.admission.code if one.admission else "" for one in found]


def news(futures: "list[Future[Arrival]]") -> list[bool]:
    return [future.result(PATIENCE).new for future in futures]


def used(house: House) -> int:
    with db.use_alias("owner"):
        ((found,),) = db.rows("SELECT used FROM gate.counter WHERE subject = $1", [house.id])
    return int(found)


def ledger(*ids: str) -> list[tuple[Any, ...]]:
    with as_staff(), db.cursor() as cursor:
        cursor.execute(
            "SELECT id, tenant_id, scope, key_id, xid::text FROM billing_usage_event"
            " WHERE id = ANY (%s) ORDER BY seq",
            [list(ids)],
        )
        return cursor.fetchall()
