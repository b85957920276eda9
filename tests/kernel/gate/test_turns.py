"""Turns: one connection for all threads, and another way for who does not get a turn."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from kernel.gate import turns as module
from kernel.gate import wire
from kernel.gate.admission import Question, verify
from kernel.gate.turns import Turns
from kernel.gate.wire import Statement, StatementError
from tests.kernel.gate.credentials import make_key, make_tenant

WHO = Statement("test_turns_who", "SELECT pg_backend_pid()", parameters=0)
DIVIDE = Statement("test_turns_divide", "SELECT 1 / $1::int", parameters=1)
TENANT = Statement("test_turns_tenant", "SELECT current_setting('app.tenant', true)", parameters=0)


@pytest.fixture
def turns(database):
    found = Turns()
    yield found
    found.close()


def backend(turns: Turns) -> bytes | None:
    try:
        return turns.row(WHO, [])[0]
    finally:
        wire.release()


def test_row__many_threads_with_time__all_ask_one_backend(turns, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 30)
    with ThreadPoolExecutor(8) as pool:
        backends = set(pool.map(backend, [turns] * 64))
    assert len(backends) == 1
    assert turns.calls == 64


def test_row__no_turn_comes__is_asked_over_the_requests_own_connection(turns):
    own = backend(turns)
    with turns._turn:
        other = backend(turns)
    assert other not in (None, own)
    assert turns.calls == 1


def test_row__refused__gives_the_turn_back(turns):
    with pytest.raises(StatementError):
        turns.row(DIVIDE, [b"0"])
    assert turns.row(DIVIDE, [b"1"]) == [b"1"]
    assert turns.calls == 2


def test_row__while_another_waits_for_its_answer__never_mixes_answers(turns, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 30)
    echo = Statement("test_turns_echo", "SELECT $1::int", parameters=1)
    start = threading.Barrier(8)

    def ask(thread: int) -> bool:
        start.wait(30)
        numbers = range(thread * 1000, thread * 1000 + 50)
        return all(turns.row(echo, [str(n).encode()]) == [str(n).encode()] for n in numbers)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))


def test_row__after_a_verification__the_connection_has_no_tenant(turns):
    caller, presented = make_key(), make_key(make_tenant())
    question = Question(presented.text)
    answer = verify(turns, caller.text, question, ip=None, permission="keys:verify")
    assert (answer.code, turns.calls) == ("VALID", 1)
    assert turns.row(TENANT, []) in ([None], [b""])
