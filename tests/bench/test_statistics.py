"""Percentiles, verdicts and intervals."""

from __future__ import annotations

import random

import numpy
import pytest

from bench.statistics import (
    Thresholds,
    Verdict,
    bootstrap,
    judge,
    median,
    percentile,
    ratio,
    thresholds,
)

# The tables of docs/performance.md: n, then (pass at most, fail at least) for p50, p95, p99.
ONE_LOOK = {
    60: ((23, 40), (0, 8), (None, 4)),
    100: ((41, 63), (1, 12), (None, 5)),
    200: ((87, 117), (4, 19), (None, 7)),
    300: ((135, 171), (8, 25), (0, 9)),
    500: ((231, 277), (16, 38), (1, 12)),
    1000: ((473, 538), (38, 68), (4, 19)),
    2000: ((962, 1053), (83, 124), (12, 32)),
}
THREE_LOOKS = {
    500: ((225, 281), (14, 40), (0, 13)),
    1000: ((465, 544), (35, 71), (3, 20)),
    2000: ((951, 1062), (79, 128), (10, 34)),
}


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95, 0.99, 1.0])
@pytest.mark.parametrize("count", [1, 2, 99, 1000])
def test_percentile__random_samples__equals_numpy(count: int, share: float) -> None:
    rng = random.Random(count)
    samples = [rng.lognormvariate(0, 1) for _ in range(count)]
    assert percentile(samples, share) == pytest.approx(numpy.percentile(samples, share * 100))


def test_percentile__no_samples__is_refused() -> None:
    with pytest.raises(ValueError, match="needs samples"):
        percentile([], 0.5)


@pytest.mark.parametrize(("looks", "table"), [(1, ONE_LOOK), (3, THREE_LOOKS)])
def test_thresholds__documented_sizes__equal_the_printed_table(
    looks: int, table: dict[int, tuple[tuple[int | None, int], ...]]
) -> None:
    found = {n: tuple(thresholds(n, name, looks) for name in ("p50", "p95", "p99")) for n in table}
    assert found == {n: tuple(Thresholds(*row) for row in rows) for n, rows in table.items()}


@pytest.mark.parametrize(
    ("above", "verdict"),
    [
        (16, Verdict.PASS),
        (17, Verdict.INCONCLUSIVE),
        (37, Verdict.INCONCLUSIVE),
        (38, Verdict.FAIL),
    ],
)
def test_judge__p95_of_500__turns_at_the_table_counts(above: int, verdict: Verdict) -> None:
    samples = [20.0] * above + [1.0] * (500 - above)
    assert judge(samples, "p95", 15.0) is verdict


def test_judge__sample_equal_to_the_limit__counts_as_above() -> None:
    assert judge([15.0] * 60, "p50", 15.0) is Verdict.FAIL


def test_judge__p99_of_60_good_samples__cannot_pass() -> None:
    assert judge([1.0] * 60, "p99", 20.0) is Verdict.INCONCLUSIVE


def test_bootstrap__median_of_normal_noise__covers_the_truth_about_as_often_as_promised() -> None:
    rng = random.Random(7)
    hits = 0
    for trial in range(100):
        samples = [rng.gauss(10, 1) for _ in range(30)]
        interval = bootstrap(samples, median, resamples=200, seed=trial)
        hits += interval.low <= 10 <= interval.high
    assert 85 <= hits <= 100


def test_ratio__noise_shared_by_a_round__cancels_out() -> None:
    weather = [1.0, 0.5, 2.0, 0.8, 1.3, 0.7]
    interval = ratio([3000 * w for w in weather], [300 * w for w in weather])
    assert (interval.low, interval.estimate, interval.high) == pytest.approx((10, 10, 10))


def test_ratio__planted_slowdown_of_ten_percent__is_found_and_none_is_not() -> None:
    rng = random.Random(3)
    base = [1000 * rng.gauss(1, 0.02) for _ in range(24)]
    same = [1000 * rng.gauss(1, 0.02) for _ in range(24)]
    slower = [900 * rng.gauss(1, 0.02) for _ in range(24)]
    assert ratio(slower, base, confidence=0.99).high < 0.95
    unchanged = ratio(same, base, confidence=0.99)
    assert unchanged.low < 1.0 < unchanged.high
