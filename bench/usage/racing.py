"""Callers in processes of their own who consume as fast as they are answered.

Every call has an idempotency key of its own. Some are repeated at once, while others go on: what
was taken must be answered by the very same bytes, what was refused may be decided anew.
"""

import multiprocessing
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from multiprocessing.sharedctypes import Synchronized
from typing import Final

from bench.systems.server import HOST

TAKEN: Final = "taken"
REFUSED: Final = "refused"
REPEATED: Final = "repeated"
TIMEOUT_S: Final = 120.0
_TOLD_EVERY_S: Final = 5.0
_STEP: Final = 50
"""Calls of a process after which it says how far it is."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What one process does: ``calls`` times ``quantity`` of the paths in turn.

    Of ``repeated`` calls one is repeated with its idempotency key; 0: none.
    """

    port: int
    key: str
    paths: list[str]
    quantity: int
    calls: int
    connections: int
    repeated: int = 0
    name: str = ""


@dataclass(slots=True)
class Outcome:
    """How the calls were answered, by path and outcome; what nobody should have been told."""

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        """Take in another's."""
        self.answers.update(other.answers)
        self.failures += other.failures


_done: "list[Synchronized[int]]" = []
"""In a process of the pool: the count that all of them share."""


def start(pool: ProcessPoolExecutor, errand: Errand, processes: int) -> "list[Future[Outcome]]":
    """Split an errand among the processes of a pool, which go at once."""
    return [
        pool.submit(
            consume,
            Errand(
                errand.port,
                errand.key,
                errand.paths[place:] + errand.paths[:place],
                errand.quantity,
                errand.calls // processes + (place < errand.calls % processes),
                errand.connections // processes + (place < errand.connections % processes),
                errand.repeated,
                f"{errand.name}{place}-",
            ),
        )
        for place in range(processes)
    ]


@contextmanager
def pool(processes: int, calls: int) -> Iterator[ProcessPoolExecutor]:
    """Make a pool whose processes share nothing with this one, and tell how far they are."""
    context = multiprocessing.get_context("spawn")
    done = context.Value("q", 0)
    over = threading.Event()
    teller = threading.Thread(target=_tell, args=(lambda: done.value, calls, over))
    workers = ProcessPoolExecutor(
        processes, mp_context=context, initializer=_share, initargs=(done,)
    )
    with workers:
        teller.start()
        try:
            yield workers
        finally:
            over.set()
            teller.join()


def _share(done: "Synchronized[int]") -> None:
    _done.append(done)


def _tell(done: Callable[[], int], calls: int, over: threading.Event) -> None:
    began = time.monotonic()
    while not over.wait(_TOLD_EVERY_S):
        seconds, count = time.monotonic() - began, done()
        sys.stderr.write(f"{count} of {calls} calls in {seconds:.0f} s, {count / seconds:.0f}/s\n")
        sys.stderr.flush()


def consume(errand: Errand) -> Outcome:
    """Consume over all connections of one process until its calls are made."""
    calls = iter(range(errand.calls))
    guard = threading.Lock()
    outcomes = [Outcome() for _ in range(errand.connections)]

    def following() -> int | None:
        with guard:
            number = next(calls, None)
        if number is not None and number % _STEP == _STEP - 1:
            for count in _done:
                with count.get_lock():
                    count.value += _STEP
        return number

    def work(outcome: Outcome) -> None:
        link = _Link(errand.port)
        while not outcome.failures and (number := following()) is not None:
            _call(link, errand, number, outcome)
        link.close()

    threads = [threading.Thread(target=work, args=(one,)) for one in outcomes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = Outcome()
    for one in outcomes:
        together.add(one)
    return together


def _call(link: "_Link", errand: Errand, number: int, outcome: Outcome) -> None:
    """Make one call, and repeat it if its turn has come."""
    path = errand.paths[number % len(errand.paths)]
    first = _ask(link, errand, path, number, outcome)
    if first is None:
        return
    outcome.answers[path, first[0]] += 1
    if errand.repeated and number % errand.repeated == 0:
        again = _ask(link, errand, path, number, outcome)
        if again is None:
            return
        outcome.answers[path, REPEATED] += 1
        if first[0] == TAKEN and again != first:
            outcome.failures.append(f"repeated: {first} became {again}")
        elif first[0] != again[0]:  # refused, and room was made since
            outcome.answers[path, REFUSED] -= 1
            outcome.answers[path, TAKEN] += 1


class _Link:
    """One connection that is kept, with no more of HTTP than a caller on loopback needs.

    ``http.client`` would spend as much of the machine on a call as the server that is measured.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=TIMEOUT_S)
        self._answers = self._socket.makefile("rb")

    def post(self, path: str, headers: str, body: str) -> tuple[int, bytes]:
        """Send one request; give status and body of the answer."""
        head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\n{headers}"
        self._socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        status = int(self._answers.readline().split(b" ", 2)[1])
        length = 0
        while (line := self._answers.readline()) not in {b"\r\n", b""}:
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        return status, self._answers.read(length)

    def close(self) -> None:
        """End the connection."""
        self._answers.close()
        self._socket.close()


def _ask(
    link: _Link, errand: Errand, path: str, number: int, outcome: Outcome
) -> tuple[str, bytes] | None:
    """Ask once; give what it came to and the answer, None for what nobody should be told."""
    headers = (
        f"Authorization: Bearer {errand.key}\r\nContent-Type: application/json\r\n"
        f"Idempotency-Key: {errand.name}{number}\r\n"
    )
    try:
        status, text = link.post(f"{path}/consume", headers, f'{{"quantity": {errand.quantity}}}')
    except (OSError, IndexError, ValueError) as error:
        outcome.failures.append(repr(error))
        return None
    if status == HTTPStatus.OK:
        return TAKEN, text
    if status == HTTPStatus.CONFLICT and b"quota_exceeded" in text:
        return REFUSED, text
    outcome.failures.append(f"{status} {text[:200]!r}")
    return None
