"""Work that is done for many callers at once while others are at it.

The first caller of a key goes at once, alone. Those that come while it is under way wait, and when
it has ended all of them are done in one piece, led by the one that has waited longest. So a piece
is as large as the work is slow. Queues live in one process.

Nobody waits for company, unless the owner of the work is patient: then a piece that follows upon
another, or comes a moment after it, gives those whose piece has just ended that moment to come
again. Without it callers that do come again fall into two parts, which are done in turns: all but
the quickest, and the quickest alone.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Generic, TypeVar

T = TypeVar("T")
LARGEST: Final = 64


class _State(Enum):
    WAITING = auto()
    LEADING = auto()
    DONE = auto()


@dataclass(slots=True, eq=False)
class _Place(Generic[T]):
    item: T
    state: _State = _State.WAITING
    turn: threading.Lock = field(default_factory=threading.Lock)


@dataclass(slots=True, eq=False)
class _Queue(Generic[T]):
    """Who waits for the piece that is under way, and for how many a patient leader waits.

    ``ended`` is when the last piece has ended, in monotonic seconds; None while one is under way.
    """

    waiting: deque[_Place[T]] = field(default_factory=deque)
    expected: int = 0
    patient: "threading.Lock | None" = None
    ended: float | None = None


class Together(Generic[T]):
    """Callers' items, gathered by key. Safe from any number of threads.

    ``work`` does some items, and notes in each what came of it. Where it fails for several with one
    of ``failures``, that says nothing about any of them: each is then done alone, by its own
    caller. Done alone it raises what its caller is to see. ``patience`` is in seconds; the keys of
    a patient owner are few, since it remembers how large the last piece of each was.
    """

    def __init__(
        self,
        work: Callable[[Sequence[T]], None],
        failures: tuple[type[Exception], ...],
        largest: int = LARGEST,
        patience: float = 0.0,
    ) -> None:
        self._work = work
        self._failures = failures
        self._largest = largest
        self._patience = patience
        self._guard = threading.Lock()
        self._queues: dict[Hashable, _Queue[T]] = {}

    def waiting(self, key: Hashable) -> int | None:
        """Tell how many wait for the one that is under way; None if none is."""
        with self._guard:
            found = self._queues.get(key)
            return None if found is None or found.ended is not None else len(found.waiting)

    def do(self, key: Hashable, item: T) -> None:
        """Do an item, with others of its key if any are waiting.

        Raises:
            Exception: whatever ``work`` raises for this item alone.
        """
        place = _Place(item)
        if self._must_wait(key, place):
            place.turn.acquire()
        if place.state is _State.LEADING:
            self._lead(key, place)
        if place.state is not _State.DONE:
            self._work([item])

    def _must_wait(self, key: Hashable, place: _Place[T]) -> bool:
        with self._guard:
            queue = self._queues.get(key)
            if queue is None:
                queue = self._queues[key] = _Queue(ended=0.0)
            if queue.ended is not None:
                if time.monotonic() - queue.ended > self._patience:
                    queue.expected = 0
                queue.ended = None
                place.state = _State.LEADING
                return False
            place.turn.acquire()
            queue.waiting.append(place)
            if queue.patient is not None and len(queue.waiting) + 1 >= queue.expected:
                queue.patient.release()
                queue.patient = None
            return True

    def _lead(self, key: Hashable, leader: _Place[T]) -> None:
        """Take all that wait by now, do them, pass the lead on, and let the members go."""
        queue = self._queues[key]
        if self._patience:
            self._wait_for_company(queue)
        waiting = queue.waiting
        with self._guard:
            members = [waiting.popleft() for _ in range(min(len(waiting), self._largest - 1))]
        places = [leader, *members]
        leader.state = _State.WAITING
        try:
            self._work([place.item for place in places])
            for place in places:
                place.state = _State.DONE
        except self._failures:
            if not members:
                raise
        finally:
            self._pass_on(key, len(places))
            for member in members:
                member.turn.release()

    def _wait_for_company(self, queue: _Queue[T]) -> None:
        """Wait until all are there who were when the last piece ended, or for as long as may be."""
        with self._guard:
            if len(queue.waiting) + 1 >= queue.expected:
                return
            patient = queue.patient = threading.Lock()
            patient.acquire()
        patient.acquire(timeout=self._patience)
        with self._guard:
            queue.patient = None

    def _pass_on(self, key: Hashable, done: int) -> None:
        """Let the one that has waited longest lead; without any, forget the key in time."""
        with self._guard:
            queue = self._queues[key]
            queue.expected = min(done + len(queue.waiting), self._largest)
            if not queue.waiting:
                queue.ended = time.monotonic()
                if done == 1 or not self._patience:
                    del self._queues[key]
                return
            following = queue.waiting.popleft()
        following.state = _State.LEADING
        following.turn.release()
