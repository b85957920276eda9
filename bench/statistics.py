"""What may be concluded from samples: percentiles, three-valued verdicts, intervals of ratios.

The verdict is the exact binomial one of docs/performance.md: a percentile limit is a statement
about the share of samples above it, so the number of such samples decides, without any assumption
about the shape of the latencies.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

PASS_ERROR = 0.05  # PASS: below the limit at 95 % confidence
FAIL_ERROR = 0.01  # FAIL: above the limit at 99 % confidence
ALLOWED_SHARE = {"p50": 0.50, "p95": 0.05, "p99": 0.01}


class Verdict(StrEnum):
    """What the samples say about a limit."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Counts of samples above a limit: PASS up to `pass_at_most`, FAIL from `fail_at_least`; None =
    impossible."""

    pass_at_most: int | None
    fail_at_least: int | None


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its bootstrap interval, in the unit of the statistic."""

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimate:.2f} [{self.low:.2f}, {self.high:.2f}]"


def percentile(samples: Sequence[float], share: float) -> float:
    """The value below which `share` (0..1) of the samples lie, interpolated linearly as numpy does
    by default.

    Raises:
        ValueError: no samples, or a share outside 0..1.
    """
    if not samples or not 0.0 <= share <= 1.0:
        raise ValueError("a percentile needs samples and a share between 0 and 1")
    ordered = sorted(samples)
    position = (len(ordered) - 1) * share
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def median(samples: Sequence[float]) -> float:
    """The middle sample."""
    return percentile(samples, 0.5)


def thresholds(n: int, percentile_name: str, looks: int = 1) -> Thresholds:
    """The exact pass and fail counts for `n` samples; `looks` > 1 splits both errors over that many
    looks."""
    return _thresholds(n, ALLOWED_SHARE[percentile_name], looks)


@lru_cache(maxsize=1024)
def _thresholds(n: int, share: float, looks: int) -> Thresholds:
    cumulative = _binomial_cdf(n, share)
    passing = [k for k, value in enumerate(cumulative) if value <= PASS_ERROR / looks]
    # P(X >= k) = 1 - P(X <= k - 1)
    failing = [k for k in range(1, n + 1) if 1.0 - cumulative[k - 1] <= FAIL_ERROR / looks]
    return Thresholds(passing[-1] if passing else None, failing[0] if failing else None)


def _binomial_cdf(n: int, p: float) -> list[float]:
    terms = [
        math.exp(
            math.lgamma(n + 1)
            - math.lgamma(k + 1)
            - math.lgamma(n - k + 1)
            + k * math.log(p)
            + (n - k) * math.log1p(-p)
        )
        for k in range(n + 1)
    ]
    total, cumulative = 0.0, []
    for term in terms:
        total += term
        cumulative.append(min(total, 1.0))
    return cumulative


def judge(samples: Sequence[float], percentile_name: str, limit: float, looks: int = 1) -> Verdict:
    """Whether the samples show that the percentile lies below the limit, above it, or neither."""
    above = sum(1 for sample in samples if sample >= limit)
    found = thresholds(len(samples), percentile_name, looks)
    if found.fail_at_least is not None and above >= found.fail_at_least:
        return Verdict.FAIL
    if found.pass_at_most is not None and above <= found.pass_at_most:
        return Verdict.PASS
    return Verdict.INCONCLUSIVE


def bootstrap(
    samples: Sequence[float],
    statistic: Callable[[Sequence[float]], float] = median,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 1,
) -> Interval:
    """The statistic with its percentile-bootstrap interval (Efron 1979)."""
    rng = random.Random(seed)  # noqa: S311 - resampling, no secret
    draws = [statistic(rng.choices(samples, k=len(samples))) for _ in range(resamples)]
    tail = (1.0 - confidence) / 2
    return Interval(statistic(samples), percentile(draws, tail), percentile(draws, 1.0 - tail))


def ratio(
    ours: Sequence[float],
    theirs: Sequence[float],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 1,
) -> Interval:
    """Median of the paired ratios ours/theirs, round by round: noise that hit a whole round cancels
    out.

    Raises:
        ValueError: the two series do not pair up.
    """
    pairs = [a / b for a, b in zip(ours, theirs, strict=True)]
    return bootstrap(pairs, median, confidence=confidence, resamples=resamples, seed=seed)
