"""The open-loop generator against a server whose misbehaviour we planted."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

from bench.load import open_loop
from bench.load.open_loop import Plan, Stream, lag_histogram
from bench.load.wire import Request

pytestmark = pytest.mark.serial  # times real processes

GET = (Request("GET", "/"),)


def plan(port: int, stream: Stream, **changes: float) -> Plan:
    settings: dict[str, float] = {"duration": 1.0, "warm_up": 0.1, "timeout": 2.0} | changes
    return Plan("127.0.0.1", port, (stream,), **settings)  # type: ignore[arg-type]


def test_times__constant__are_evenly_spaced() -> None:
    assert Stream("s", 4, GET, "constant").times(1.0, random.Random(1)) == [0, 0.25, 0.5, 0.75]


def test_times__poisson__have_the_rate_and_the_spread_of_a_poisson_process() -> None:
    times = Stream("s", 1000, GET).times(20.0, random.Random(1))
    gaps = [b - a for a, b in itertools.pairwise(times)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert len(times) == pytest.approx(20_000, rel=0.03)
    assert variance**0.5 == pytest.approx(mean, rel=0.05)


def test_times__unknown_arrivals__are_refused() -> None:
    with pytest.raises(ValueError, match="unknown arrivals"):
        Stream("s", 1, GET, "bursts").times(1.0, random.Random(1))


def test_run__server_with_a_planted_delay__measures_it(stub: Callable[..., int]) -> None:
    result = open_loop.run(plan(stub(delay_ms=30), Stream("s", 100, GET, "constant")))
    stream = result.streams["s"]
    assert stream.planned == 100
    assert stream.statuses == {200: 100}
    assert 30 <= stream.percentile(0.5) < 60


def test_run__server_stalls__charges_every_request_that_was_due_meanwhile(
    stub: Callable[..., int],
) -> None:
    port = stub(stall_at=0.5, stall_for=0.4)
    result = open_loop.run(plan(port, Stream("s", 200, GET, "constant"), connections=2))
    slow = sum(1 for latency in result.streams["s"].latencies if latency > 50)
    # 200/s for 0.35 s of the 0.4 s stall; a closed loop with two connections would see two.
    assert 60 <= slow <= 100


def test_run__queue_full__counts_the_dropped(stub: Callable[..., int]) -> None:
    port = stub(delay_ms=200)
    result = open_loop.run(
        plan(port, Stream("s", 100, GET, "constant"), connections=1, max_waiting=5)
    )
    stream = result.streams["s"]
    assert stream.dropped > 80
    assert stream.planned == stream.dropped + sum(stream.statuses.values()) + stream.timed_out


def test_run__connections_closed_by_the_server__are_opened_again(stub: Callable[..., int]) -> None:
    result = open_loop.run(plan(stub(close_every=10), Stream("s", 200, GET), connections=4))
    stream = result.streams["s"]
    assert stream.broken == 0
    assert sum(stream.statuses.values()) == stream.planned


def test_run__answers_that_never_come__are_counted_as_broken(stub: Callable[..., int]) -> None:
    result = open_loop.run(plan(stub(silent_every=10), Stream("s", 200, GET, "constant")))
    stream = result.streams["s"]
    assert stream.broken == pytest.approx(20, abs=2)
    assert sum(stream.statuses.values()) == stream.planned - stream.broken


def test_run__two_streams__are_reported_apart(stub: Callable[..., int]) -> None:
    streams = (Stream("often", 200, GET, "constant"), Stream("rarely", 20, GET, "constant"))
    result = open_loop.run(Plan("127.0.0.1", stub(), streams, duration=1.0, warm_up=0.0))
    assert {name: found.planned for name, found in result.streams.items()} == {
        "often": 200,
        "rarely": 20,
    }


def test_run__nobody_listens__fails_with_the_reason() -> None:
    with pytest.raises(RuntimeError, match="ConnectionRefusedError"):
        open_loop.run(plan(1, Stream("s", 1, GET)))


def test_plan__dumped_and_parsed__is_the_same() -> None:
    original = plan(80, Stream("s", 5, (Request("POST", "/x", {"a": "b"}, "c"),)))
    assert Plan.parse(original.dump()) == original


def test_lag_histogram__values__fall_under_their_upper_edge() -> None:
    found = lag_histogram([0.04, 0.05, 0.3, 99.0])
    assert {key: count for key, count in found.items() if count} == {
        "<=0.05 ms": 2,
        "<=0.5 ms": 1,
        "later": 1,
    }


def test_report__generator_too_late_or_too_busy__marks_the_run_invalid() -> None:
    generator = open_loop.Generator(plan(1, Stream("s", 1, GET)))
    generator._lags = [0.1] * 90 + [1.5] * 10
    assert generator._report(0.1).invalid == "the generator was late: lag p99 1.50 ms"
    generator._lags = [0.1] * 100
    assert generator._report(0.61).invalid == "the generator used 61% of its core"
    assert generator._report(0.59).invalid is None
