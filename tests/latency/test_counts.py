"""Deterministic budgets: statements, round trips, commits and bytes of every route."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from bench.latency.calls import Call, send
from bench.latency.counts import Counter, Counts
from bench.latency.rounds import Probe
from kernel import db
from tests.latency import table
from tests.latency.registry import ROUTE_CASES
from tests.latency.world import World

WARM_UP = 2
REPEATS = 3
AT_MOST = 10
WRITING = os.environ.get("WRITE_COUNTS") == "1"


@pytest.fixture(scope="module")
def measured() -> Iterator[dict[str, Counts]]:
    """What was counted; written into the table at the end where that was asked for."""
    found: dict[str, Counts] = {}
    yield found
    if WRITING:
        table.write(found, keep=ROUTE_CASES)


def count(
    world: World, counter: Counter, probe: Probe, row: dict[str, int] | None = None
) -> Counts:
    """Count after a warm-up: what is compiled or prepared once is not part of a request.

    The process's own probes and its pool speak to the same database now and then, so the request
    is counted three times and the cheapest count is its own; a few times more while that is above
    the row, since a slow request meets those probes more often.
    """
    for number in range(WARM_UP):
        answer = send(world.application, probe.prepare(number))
        assert answer.status in probe.statuses, answer.body[:500]
    found = []
    for number in range(WARM_UP, WARM_UP + AT_MOST):
        if len(found) >= REPEATS and not (row and cheapest(found).over(row)):
            break
        call = probe.prepare(number)

        def request(call: Call = call) -> bytes:
            answer = send(world.application, call)
            assert answer.status in probe.statuses, answer.body[:500]
            return answer.body

        found.append(counter.count(request))
    return cheapest(found)


def cheapest(found: list[Counts]) -> Counts:
    """The count with the fewest round trips."""
    return min(found, key=lambda counts: (counts.round_trips, counts.commits))


@pytest.mark.parametrize("name", sorted(ROUTE_CASES))
def test_counts__route__stay_within_their_row(
    name: str, world: World, counter: Counter, measured: dict[str, Counts]
) -> None:
    row = None if WRITING else table.COUNTS[name]
    found = measured[name] = count(world, counter, ROUTE_CASES[name].probe(name, world), row)
    assert row is None or found.over(row) == []


def test_counter__two_statements_and_a_transaction__are_counted_as_postgresql_saw_them(
    world: World, counter: Counter
) -> None:
    def work() -> bytes:
        with db.cursor() as cursor:
            cursor.execute("SELECT 1")
        with db.atomic(), db.cursor() as cursor:
            cursor.execute("SELECT 2")
            cursor.execute("SELECT 3")
        return b"1234"

    work()
    assert counter.count(work) == Counts(
        statements=3, round_trips=5, commits=2, notifies=0, response_bytes=4
    )
