"""The short way to PostgreSQL: what it repeats, what it reports, what it forgets."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import pq

from kernel.errors import Unavailable
from kernel.gate import wire as module
from kernel.gate.wire import HotConnection, InDoubtError, Statement, StatementError
from kernel.http.lane import FastLane

ONE = Statement("test_one", "SELECT $1::int + 1, NULL", parameters=1)


@pytest.fixture
def wire(database):
    connection = HotConnection()
    yield connection
    connection.close()


@pytest.fixture
def idle_connections(database, monkeypatch):
    """An empty stack of idle connections, and a thread that holds none."""
    idle = []
    monkeypatch.setattr(module, "_idle", idle)
    monkeypatch.setattr(module, "_threads", module._PerThread())
    yield idle
    module.release()
    for pair in idle:
        pair.app.close()
        pair.staff.close()


class Refusal:
    """A result as libpq gives it for a statement that PostgreSQL rolled back."""

    status = pq.ExecStatus.FATAL_ERROR
    error_message = b"as asked"

    def __init__(self, sqlstate: str) -> None:
        self._sqlstate = sqlstate.encode()

    def error_field(self, field):
        assert field == pq.DiagnosticField.SQLSTATE
        return self._sqlstate


def refuse(wire, monkeypatch, sqlstate: str, times: int) -> list[str]:
    """Let the next ``times`` attempts be refused; record all of them."""
    attempts: list[str] = []
    attempt = wire._attempt

    def refusing(statement, values):
        attempts.append(statement.name)
        return Refusal(sqlstate) if len(attempts) <= times else attempt(statement, values)

    monkeypatch.setattr(wire, "_attempt", refusing)
    return attempts


def test_row__values__are_text_and_null_is_none(wire):
    assert wire.row(ONE, [b"41"]) == [b"42", None]
    assert wire.rows(ONE, [b"1"]) == [[b"2", None]]
    assert wire.calls == 2


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
def test_execute__rolled_back_by_postgresql__is_asked_again(wire, monkeypatch, sqlstate):
    attempts = refuse(wire, monkeypatch, sqlstate, times=2)
    assert wire.row(ONE, [b"1"])[0] == b"2"
    assert len(attempts) == 3


def test_execute__rolled_back_again_and_again__is_told(wire, monkeypatch):
    attempts = refuse(wire, monkeypatch, "40P01", times=99)
    with pytest.raises(StatementError):
        wire.row(ONE, [b"1"])
    assert len(attempts) == 1 + module.MAX_REPEATS


def test_execute__other_error__is_told_with_its_code_and_the_connection_is_dropped(wire):
    with pytest.raises(StatementError) as raised:
        wire.row(Statement("test_zero", "SELECT 1 / $1::int", parameters=1), [b"0"])
    assert raised.value.sqlstate == "22012"
    assert wire._connection is None
    assert wire.row(ONE, [b"1"])[0] == b"2"


@pytest.mark.parametrize("sqlstate", ["55P03", "57014", "57P01", "53300", "08006", ""])
def test_execute__timeout_or_shutdown__is_unavailable(wire, monkeypatch, sqlstate):
    refuse(wire, monkeypatch, sqlstate, times=99)
    with pytest.raises(Unavailable):
        wire.row(ONE, [b"1"])


def test_execute__connection_ended_by_the_server__reconnects_unseen(wire):
    wire.row(ONE, [b"1"])
    pid = wire._connection.info.backend_pid
    with psycopg.connect(module.conninfo("default"), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])
    assert wire.row(ONE, [b"1"])[0] == b"2"


def test_open__server_away__is_unavailable_with_retry_after(database, monkeypatch):
    monkeypatch.setattr(module, "conninfo", lambda alias: "host=/nonexistent dbname=x user=x")
    with pytest.raises(Unavailable) as raised:
        HotConnection().row(ONE, [b"1"])
    assert raised.value.retry_after == 1


def backend_of_a_thread() -> int:
    """Ask over the hot connection of a new thread, as a request does, and name its backend."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asked_and_released).result()


def asked_and_released() -> int:
    connection = module.hot()
    connection.row(ONE, [b"1"])
    try:
        return connection.backend
    finally:
        module.release()


def test_release__the_connection_used_last__is_taken_first(idle_connections):
    first = module.hot()
    first.row(ONE, [b"1"])
    second = backend_of_a_thread()
    assert second != first.backend  # one at a time
    module.release()
    assert [backend_of_a_thread() for _ in range(3)] == [first.backend] * 3


def test_hot__within_a_request__is_one_connection(idle_connections):
    assert module.hot() is module.hot()
    assert module.hot_staff() is module.hot_staff()
    assert module.hot_staff() is not module.hot()


def test_release__nothing_held__puts_nothing_back(idle_connections):
    module.release()
    module.release()
    assert idle_connections == []


def test_lane__end_of_a_request__releases_even_where_it_fails(idle_connections):
    def failing(environ, start_response):
        module.hot().row(ONE, [b"1"])
        raise RuntimeError("as asked")

    with pytest.raises(RuntimeError, match="as asked"):
        FastLane(failing, {})({"PATH_INFO": "/"}, print)
    assert len(idle_connections) == 1


LOCAL = Statement("test_local", "SELECT set_config('app.tenant', $1, true)", parameters=1)
SHOWN = Statement("test_shown", "SELECT current_setting('app.tenant', true)", parameters=0)
DIVIDED = Statement("test_divided", "SELECT 1 / $1::int", parameters=1)


def test_transact__statements__are_one_transaction_and_give_the_rows_of_each(wire):
    told = wire.transact([(LOCAL, [b"some"]), (SHOWN, []), (ONE, [b"4"])])

    assert told == [[[b"some"]], [[b"some"]], [[b"5", None]]]
    assert wire.row(SHOWN, [])[0] != b"some"


def test_transact__after__is_in_the_same_transaction_and_sees_the_rows(wire):
    seen = []

    def after(rows):
        seen.append(rows)
        return [(SHOWN, [])]

    assert wire.transact([(LOCAL, [b"some"])], after) == [[[b"some"]]]
    assert seen == [[[[b"some"]]]]


@pytest.mark.parametrize("late", [False, True])
def test_transact__a_statement_is_refused__raises_and_leaves_nothing_open(wire, late):
    bad = (DIVIDED, [b"0"])
    with pytest.raises(StatementError) as refused:
        wire.transact([(LOCAL, [b"some"])] if late else [bad], lambda _: [bad])

    assert refused.value.sqlstate == "22012"
    assert wire.row(ONE, [b"1"]) == [b"2", None]


def test_transact__after_raises__rolls_back(wire):
    def after(_):
        raise LookupError

    with pytest.raises(LookupError):
        wire.transact([(LOCAL, [b"some"])], after)

    assert wire.row(ONE, [b"1"]) == [b"2", None]


def cut(wire):
    """End the server's side of a connection, and wait until it is gone."""
    with psycopg.connect(module.conninfo("default"), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [wire.backend])


def test_transact__idle_connection_was_closed__begins_anew(wire):
    wire.row(ONE, [b"1"])
    cut(wire)

    assert wire.transact([(ONE, [b"1"])], lambda _: []) == [[[b"2", None]]]


def test_transact__connection_is_lost_before_the_commit_is_answered__is_in_doubt(wire):
    wire.transact([(ONE, [b"1"])], lambda _: [])

    with pytest.raises(InDoubtError):
        wire.transact([(ONE, [b"1"])], lambda _: cut(wire) or [])


def test_transact__while_it_waits__other_threads_run(wire):
    slow = Statement("test_slow", "SELECT pg_sleep(0.5)", parameters=0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wire.transact, [(slow, [])])
        turns = 0
        while not waiting.done():
            turns += 1
            threading.Event().wait(0.001)

    assert turns > 5
