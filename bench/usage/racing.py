"""Callers in processes of their own who consume as fast as they are answered."""

import http.client
import multiprocessing
import threading
from collections import Counter
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from bench.systems.server import HOST

TAKEN: Final = "taken"
REFUSED: Final = "refused"
TIMEOUT_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Errand:
    """What one process does: ``calls`` times ``quantity`` of the paths in turn."""

    port: int
    key: str
    paths: list[str]
    quantity: int
    calls: int
    connections: int


@dataclass(slots=True)
class Outcome:
    """How the calls were answered, by path and outcome; what nobody should have been told."""

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        """Take in another's."""
        self.answers.update(other.answers)
        self.failures += other.failures


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
            ),
        )
        for place in range(processes)
    ]


def pool(processes: int) -> ProcessPoolExecutor:
    """Make a pool whose processes share nothing with this one."""
    return ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))


def consume(errand: Errand) -> Outcome:
    """Consume over all connections of one process until its calls are made."""
    calls = iter(range(errand.calls))
    guard = threading.Lock()
    outcomes = [Outcome() for _ in range(errand.connections)]

    def following() -> int | None:
        with guard:
            return next(calls, None)

    def work(outcome: Outcome) -> None:
        link = http.client.HTTPConnection(HOST, errand.port, timeout=TIMEOUT_S)
        while not outcome.failures and (number := following()) is not None:
            _call(link, errand, errand.paths[number % len(errand.paths)], outcome)
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


def _call(link: http.client.HTTPConnection, errand: Errand, path: str, outcome: Outcome) -> None:
    headers = {"Authorization": f"Bearer {errand.key}", "Content-Type": "application/json"}
    try:
        link.request("POST", f"{path}/consume", f'{{"quantity": {errand.quantity}}}', headers)
        answer = link.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        outcome.failures.append(repr(error))
        return
    if answer.status == http.client.OK:
        outcome.answers[path, TAKEN] += 1
    elif answer.status == http.client.CONFLICT and b"quota_exceeded" in text:
        outcome.answers[path, REFUSED] += 1
    else:
        outcome.failures.append(f"{answer.status} {text[:200]!r}")
