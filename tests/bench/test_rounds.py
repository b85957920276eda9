"""The latency protocol on a toy application."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from bench.budgets import Budget
from bench.latency.calls import Call, json_call, send
from bench.latency.counts import Counts
from bench.latency.rounds import Probe, findings, measure
from bench.statistics import Verdict

pytestmark = pytest.mark.serial  # times real processes

BUDGET = Budget("toy", "http", {"p50": 5.0, "p95": 8.0, "p99": 20.0}, {})


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    time.sleep(float(environ["QUERY_STRING"] or 0) / 1000)
    body = environ["REQUEST_METHOD"].encode() + environ["wsgi.input"].read()
    headers = [("X-Key", environ.get("HTTP_AUTHORIZATION", "")), ("Set-Cookie", "a=1; Path=/")]
    start_response("200 OK" if environ["PATH_INFO"] == "/" else "404 Not Found", headers)
    return [body]


def probe(name: str, delay_ms: float, path: str = "/") -> Probe:
    return Probe(name, BUDGET, lambda number: Call("GET", path, query=str(delay_ms)))


def test_send__call_with_key_and_body__arrives_whole() -> None:
    answer = send(application, json_call("POST", "/", "k", {"a": 1}))
    assert (answer.status, answer.body) == (200, b'POST{"a":1}')
    assert answer.headers["x-key"] == "Bearer k"
    assert answer.cookies == {"a": "1"}


def test_measure__interleaved_rounds__give_each_case_its_own_samples() -> None:
    results, calibration = measure(
        application,
        [probe("fast", 0), probe("slow", 6)],
        rounds=20,
        warm_up=1,
        calibrate=lambda: 0.2,
    )
    assert {name: len(found.ms) for name, found in results.items()} == {"fast": 20, "slow": 20}
    assert min(results["slow"].ms) >= 6 > sorted(results["fast"].ms)[10]
    assert len(calibration.samples) == 40
    assert results["slow"].largest_body == 3


def test_measure__each_request__is_prepared_with_a_number_of_its_own() -> None:
    seen: list[int] = []

    def prepare(number: int) -> Call:
        seen.append(number)
        return Call("GET", "/")

    measure(application, [Probe("p", BUDGET, prepare)], rounds=3, warm_up=2, calibrate=lambda: 0.0)
    assert seen == [0, 1, 2, 3, 4]


def test_measure__wrong_status__is_told_and_the_other_cases_go_on() -> None:
    results, _ = measure(
        application,
        [probe("lost", 0, "/nowhere"), probe("fine", 0)],
        rounds=3,
        warm_up=1,
        calibrate=lambda: 0.0,
    )
    assert results["lost"].failure == "status 404 instead of 200: GET"
    assert (results["lost"].ms, len(results["fine"].ms)) == ([], 3)


def test_findings__planted_delay__fails_p50_and_p95_and_a_quick_case_does_not() -> None:
    results, _ = measure(
        application,
        [probe("fast", 0), probe("slow", 9)],
        rounds=60,
        warm_up=0,
        calibrate=lambda: 0.0,
    )
    slow = {found.percentile: found.verdict for found in findings(results["slow"])}
    assert slow == {
        "p50": Verdict.FAIL,
        "p95": Verdict.FAIL,
        "p99": Verdict.INCONCLUSIVE,
    }
    assert findings(results["fast"], ["p50"])[0].verdict is Verdict.PASS


def test_over__counts_above_their_budget__are_named() -> None:
    counts = Counts(statements=3, round_trips=5, commits=1, notifies=0, response_bytes=900)
    assert counts.over({"statements": 3, "response_bytes": 800}) == [
        "response_bytes 900 exceeds 800"
    ]
