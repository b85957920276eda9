"""Windows of the open loop: which count, and what is made of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bench import legs, machine
from bench.claims import Claim
from bench.load import windows
from bench.load.open_loop import Plan, Result, Stream, StreamResult
from bench.load.wire import Request
from bench.machine import Occupancy
from bench.statistics import Verdict

PLAN = Plan("127.0.0.1", 1, (Stream("s", 100, (Request("GET", "/"),)),), duration=1.0)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.Occupant, "read", lambda self: Occupancy(1.0, 0.5, 0.0, 0.0, 0.0))


def found(latency: float = 1.0, invalid: str | None = None, statuses: int = 200) -> Result:
    stream = StreamResult(planned=2, latencies=[latency, latency], statuses={statuses: 2})
    return Result({"s": stream}, 0.2, {"<=0.2 ms": 2}, 0.1, invalid)


def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.Occupant, "read", lambda self: Occupancy(1.0, 0.5, 0.3, 0.0, 0.0))


def steady() -> float:
    return 1.0


def take(results: Iterator[Result], sample=steady, **limits: int) -> windows.Windows:
    bounds = {"wanted": 2, "at_most": 4} | limits
    return windows.take(PLAN, run=lambda plan: next(results), sample=sample, **bounds)


def test_take__all_fit__stops_when_enough_and_pools_good_and_bad_alike() -> None:
    taken = take(iter([found(1.0), found(900.0), found(1.0)]))

    assert taken.pooled().streams["s"].latencies == [1.0, 1.0, 900.0, 900.0]
    assert taken.pooled().streams["s"].planned == 4
    assert taken.pooled().invalid is None
    assert taken.pooled().lag_histogram["<=0.2 ms"] == 4


def test_take__generator_late__takes_another_in_its_place() -> None:
    taken = take(iter([found(500.0, "the generator was late"), found(1.0), found(2.0)]))

    assert [window.objection for window in taken.taken] == ["the generator was late", None, None]
    assert taken.pooled().streams["s"].latencies == [1.0, 1.0, 2.0, 2.0]


def test_take__each_window__has_other_arrivals() -> None:
    seeds = []

    def run(plan: Plan) -> Result:
        seeds.append(plan.seed)
        return found()

    windows.take(PLAN, wanted=3, at_most=3, run=run, sample=steady)

    assert len(set(seeds)) == 3


def test_take__rates_made_for_each_window__are_run_and_kept() -> None:
    rates = iter([80.0, 120.0])
    sent = []

    def paced(plan: Plan) -> Plan:
        return replace(plan, streams=(replace(plan.streams[0], rate=next(rates)),))

    def run(plan: Plan) -> Result:
        sent.append(plan.streams[0].rate)
        return found()

    taken = windows.take(PLAN, wanted=2, at_most=2, run=run, sample=steady, paced=paced)

    assert sent == [80.0, 120.0]
    assert [window.rates for window in taken.taken] == [{"s": 80.0}, {"s": 120.0}]


def test_take__others_on_the_machine__is_invalid_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy(monkeypatch)

    pooled = take(itertools.repeat(found())).pooled()

    assert pooled.invalid is not None
    assert pooled.invalid.startswith("0 of 4 windows were fit, 2 needed: machine busy")
    assert pooled.streams["s"].planned == 8


def test_take__python_slower_after_a_window__does_not_count_it() -> None:
    speeds = itertools.chain(
        *([speed] * windows.CALIBRATION_SAMPLES for speed in (1, 1, 1.3, 1, 1))
    )

    taken = take(itertools.repeat(found()), sample=lambda: next(speeds), wanted=2)

    assert [window.objection is None for window in taken.taken] == [True, False, False, True]


def test_lost__in_an_unfit_window__counts_all_the_same() -> None:
    taken = take(iter([found(invalid="late", statuses=503), found(), found()]))

    assert taken.lost("s") == 2
    assert taken.pooled().streams["s"].statuses == {200: 4}


def open_claim(latencies: list[float], monkeypatch: pytest.MonkeyPatch) -> Claim:
    busy(monkeypatch)
    stream = StreamResult(planned=1000, latencies=latencies, statuses={200: 1000})
    result = Result({"s": stream}, 0.2, {"<=0.2 ms": 2}, 0.1, None)
    return legs._open_claim(take(itertools.repeat(result)), "s", 10, "now")


def test_open_claim__fast_in_disturbed_windows__is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = open_claim([1.0] * 1000, monkeypatch)

    assert claim.verdict is Verdict.PASS
    assert "in 4 steady windows, slow ones too" in claim.statement


def test_open_claim__slow_in_disturbed_windows__shows_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claim = open_claim([1.0] * 900 + [11.0] * 100, monkeypatch)

    assert claim.verdict is Verdict.INCONCLUSIVE
    assert "0 of 4 windows were fit" in claim.reason


def test_open_claim__fast_where_the_machine_stood_still__shows_nothing() -> None:
    stalled = replace(found(), lag_p99_ms=0.31, realtime=True)

    taken = take(itertools.repeat(stalled))

    assert [window.steady for window in taken.taken] == [False] * 4
    claim = legs._open_claim(taken, "s", 10, "now")
    assert claim.verdict is Verdict.INCONCLUSIVE
    assert "machine stood still" in claim.reason


def test_take__generator_of_no_priority_late__does_not_blame_the_machine() -> None:
    taken = take(itertools.repeat(replace(found(), lag_p99_ms=0.31)))

    assert [window.objection for window in taken.taken] == [None, None]


def test_take__enough_steady_windows__takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    busy(monkeypatch)

    taken = take(itertools.repeat(found()), wanted=1, at_most=9)

    assert len(taken.taken) == windows.STEADY_FOR_FIT


def test_open_claim__generator_at_fault__shows_nothing_however_fast() -> None:
    taken = take(itertools.repeat(found(invalid="the generator was late")))

    assert taken.pooled_steady() is None
    assert legs._open_claim(taken, "s", 10, "now").verdict is Verdict.INCONCLUSIVE
