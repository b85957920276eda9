"""Work that is done for many callers at once while others are at it, and never waits for company.

The first caller of a key goes at once, alone. Those that come while it is under way wait, and when
it has ended all of them are done in one piece, led by the one that has waited longest. So a piece
is as large as the work is slow. Queues live in one process.
"""

import threading
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


class Together(Generic[T]):
    """Callers' items, gathered by key. Safe from any number of threads.

    ``work`` does some items, and notes in each what came of it. Where it fails for several with one
    of ``failures``, that says nothing about any of them: each is then done alone, by its own
    caller. Done alone it raises what its caller is to see.
    """

    def __init__(
        self,
        work: Callable[[Sequence[T]], None],
        failures: tuple[type[Exception], ...],
        largest: int = LARGEST,
    ) -> None:
        self._work = work
        self._failures = failures
        self._largest = largest
        self._guard = threading.Lock()
        self._waiting: dict[Hashable, deque[_Place[T]]] = {}

    def waiting(self, key: Hashable) -> int | None:
        """Tell how many wait for the one that is under way; None if none is."""
        with self._guard:
            found = self._waiting.get(key)
            return None if found is None else len(found)

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
            waiting = self._waiting.get(key)
            if waiting is None:
                self._waiting[key] = deque()
                place.state = _State.LEADING
                return False
            place.turn.acquire()
            waiting.append(place)
            return True

    def _lead(self, key: Hashable, leader: _Place[T]) -> None:
        """Take all that wait by now, do them, pass the lead on, and let the members go."""
        with self._guard:
            waiting = self._waiting[key]
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
            self._pass_on(key)
            for member in members:
                member.turn.release()

    def _pass_on(self, key: Hashable) -> None:
        """Let the one that has waited longest lead, or forget the key."""
        with self._guard:
            waiting = self._waiting[key]
            if not waiting:
                del self._waiting[key]
                return
            following = waiting.popleft()
        following.state = _State.LEADING
        following.turn.release()
