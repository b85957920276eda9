"""Work that is done for many at once: nobody waits for company, everybody has their own outcome."""

import threading
import time

import pytest

from kernel import together
from kernel.together import Together
from tests.waiting import until


class HitchError(Exception):
    """What may go wrong with a piece."""


class Desk:
    """Notes the pieces that it is given; each waits until it is let go."""

    def __init__(self, patience=0.0):
        self.pieces = []
        self.outcomes = {}
        self.go = threading.Semaphore(0)
        self.together = Together(self.work, (HitchError,), largest=3, patience=patience)
        self.threads = []

    def work(self, items):
        self.pieces.append(list(items))
        assert self.go.acquire(timeout=30)
        if "bad" in items:
            raise HitchError(items)

    def send(self, item, key="key"):
        """Bring an item, and wait until it is at work or in the queue."""
        before = self.together.waiting(key)

        def do():
            try:
                self.together.do(key, item)
                self.outcomes[item] = "done"
            except HitchError:
                self.outcomes[item] = "failed"

        thread = threading.Thread(target=do)
        self.threads.append(thread)
        thread.start()

        def at_work():
            return any(item in piece for piece in self.pieces)

        def waits():
            return before is not None and self.together.waiting(key) == before + 1

        # A patient leader takes it along at once: it may be at work before anybody sees it wait.
        until("the item waits or is at work", lambda: at_work() or waits())

    def do_two_pieces(self):
        """Let "a" go alone and "b" and "c" together after it, and nobody wait behind them."""
        for item in ("a", "b"):
            self.send(item)
        self.go.release()
        until("the first is done", lambda: "a" in self.outcomes)
        assert self.pieces == [["a"]]
        self.send("c")
        self.go.release()
        until("both are done", lambda: {"b", "c"} <= self.outcomes.keys())
        assert self.pieces == [["a"], ["b", "c"]]
        assert self.together.waiting("key") is None

    def finish(self, permits=20):
        self.go.release(permits)
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture
def desk():
    return Desk()


def test_together__first_one__goes_alone_and_those_who_came_meanwhile_go_in_pieces(desk):
    for item in ("a", "b", "c", "d", "e"):
        desk.send(item)

    desk.finish()

    assert desk.pieces == [["a"], ["b", "c", "d"], ["e"]]
    assert desk.outcomes == dict.fromkeys("abcde", "done")
    assert desk.together.waiting("key") is None


def test_together__other_key__does_not_wait(desk):
    desk.send("a", key=1)
    desk.send("b", key=2)

    assert desk.pieces == [["a"], ["b"]]
    desk.finish()


def test_together__piece_fails__each_goes_alone_with_its_own_outcome(desk):
    for item in ("a", "b", "bad"):
        desk.send(item)

    desk.finish()

    assert desk.pieces[:2] == [["a"], ["b", "bad"]]
    assert sorted(desk.pieces[2:]) == [["b"], ["bad"]]
    assert desk.outcomes == {"a": "done", "b": "done", "bad": "failed"}


def test_together__first_one_fails__is_not_tried_twice_and_others_go_on(desk):
    desk.send("bad")
    desk.send("b")

    desk.finish()

    assert desk.pieces == [["bad"], ["b"]]
    assert desk.outcomes == {"bad": "failed", "b": "done"}


def test_together__patient__waits_for_those_who_were_just_done():
    desk = Desk(patience=30.0)

    desk.do_two_pieces()

    desk.finish()
    assert desk.outcomes == dict.fromkeys("abc", "done")


def test_together__patient__first_after_a_piece_of_several__waits_for_the_others():
    desk = Desk(patience=30.0)
    desk.do_two_pieces()

    leader = threading.Thread(target=desk.together.do, args=("key", "d"))
    leader.start()
    until("the next leads", lambda: desk.together.waiting("key") == 0)
    assert len(desk.pieces) == 2
    desk.send("e")
    desk.finish()
    leader.join(30)

    assert desk.pieces == [["a"], ["b", "c"], ["d", "e"]]


def test_together__patient__first_long_after_a_piece_of_several__goes_at_once(monkeypatch):
    desk = Desk(patience=30.0)
    desk.do_two_pieces()
    later = time.monotonic() + 31
    monkeypatch.setattr(together.time, "monotonic", lambda: later)

    desk.send("d")
    desk.finish()

    assert desk.pieces == [["a"], ["b", "c"], ["d"]]
    assert desk.together._queues == {}


def test_together__patient__does_not_wait_for_ever():
    desk = Desk(patience=0.001)
    for item in ("a", "b"):
        desk.send(item)

    desk.finish()

    assert desk.pieces == [["a"], ["b"]]
    assert desk.together.waiting("key") is None


def test_together__patient__does_not_wait_where_all_are_there():
    desk = Desk(patience=30.0)
    for item in ("a", "b", "c", "d"):
        desk.send(item)
    desk.go.release()
    until("the next is at work", lambda: len(desk.pieces) == 2)

    assert desk.pieces[1] == ["b", "c", "d"]
    desk.finish()
