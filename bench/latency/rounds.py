"""The protocol of measuring: interleaved rounds with calibration samples between the requests.

Each round is a shuffled pass over all cases, one request each, so that a noisy moment of the
machine spreads over all of them instead of condemning one.
"""

from __future__ import annotations

import gc
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.budgets import PERCENTILES, Budget
from bench.latency.calls import Answer, Application, Call, send
from bench.machine import Calibration, Contamination, Watch
from bench.statistics import Verdict, judge, percentile

Prepare = Callable[[int], Call]


@dataclass(frozen=True, slots=True)
class Probe:
    """A case bound to its data: `prepare` makes the next valid request, outside the timing."""

    name: str
    budget: Budget
    prepare: Prepare
    statuses: tuple[int, ...] = (200,)


@dataclass(slots=True)
class Samples:
    """Latencies of one case in milliseconds; the first request of the process is `cold`.

    `failure` tells of an answer that the case does not name: its latencies then mean nothing.
    """

    probe: Probe
    cold: float | None = None
    ms: list[float] = field(default_factory=list)
    contaminated: list[Contamination] = field(default_factory=list)
    largest_body: int = 0
    failure: str | None = None

    def clean(self) -> list[float]:
        """The samples that neither the scheduler nor another guest disturbed."""
        return [
            value
            for value, found in zip(self.ms, self.contaminated, strict=True)
            if not found.foreign
        ]

    def line(self) -> str:
        """One line of a report: raw and clean percentiles."""
        clean = self.clean()
        shown = " ".join(
            f"{name} {percentile(self.ms, int(name[1:]) / 100):.2f}"
            + (f" ({percentile(clean, int(name[1:]) / 100):.2f})" if clean else "")
            for name in PERCENTILES
        )
        cold = f", cold {self.cold:.1f}" if self.cold is not None else ""
        return f"{self.probe.name}: {shown} ms, n {len(self.ms)}, clean {len(clean)}{cold}"


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one percentile of one case."""

    name: str
    percentile: str
    limit: float
    found: float
    verdict: Verdict

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.percentile} {self.found:.2f} ms "
            f"against {self.limit:g} ms: {self.verdict}"
        )


def measure(
    application: Application,
    probes: Sequence[Probe],
    *,
    rounds: int,
    warm_up: int,
    calibrate: Callable[[], float],
    seed: int = 1,
) -> tuple[dict[str, Samples], Calibration]:
    """Warm every case up, then run the rounds; a case that is answered wrongly is left out."""
    results = {probe.name: Samples(probe) for probe in probes}
    order, numbers = list(results.values()), itertools.count()
    for _ in range(warm_up):
        for samples in order:
            answer = _ask(application, samples, next(numbers))
            if answer is not None and samples.cold is None:
                samples.cold = answer.ms
        order = [samples for samples in order if samples.failure is None]
    gc.collect()
    rng, calibration = random.Random(seed), []  # noqa: S311 - order only
    for _ in range(rounds):
        rng.shuffle(order)
        for samples in order:
            calibration.append(calibrate())
            with Watch() as watch:
                answer = _ask(application, samples, next(numbers))
            if answer is None:
                continue
            samples.ms.append(answer.ms)
            samples.contaminated.append(watch.result)
            samples.largest_body = max(samples.largest_body, len(answer.body))
        order = [samples for samples in order if samples.failure is None]
    return results, Calibration(calibration)


def _ask(application: Application, samples: Samples, number: int) -> Answer | None:
    """The answer, or None with the reason noted where the case is answered or prepared wrongly."""
    probe = samples.probe
    try:
        call = probe.prepare(number)
    except (AssertionError, LookupError) as error:
        samples.failure = f"request {number} cannot be prepared: {error!r}"
        return None
    answer = send(application, call)
    if answer.status in probe.statuses:
        return answer
    wanted = " or ".join(str(status) for status in probe.statuses)
    body = answer.body[:400].decode(errors="replace")
    samples.failure = f"status {answer.status} instead of {wanted}: {body}"
    return None


def findings(samples: Samples, names: Sequence[str] = PERCENTILES) -> list[Finding]:
    """The verdict on each of the percentiles for which the case's budget sets a gate."""
    found = []
    for name in names:
        limit = samples.probe.budget.limit(name)
        if limit is not None:
            value = percentile(samples.ms, int(name[1:]) / 100)
            verdict = judge(samples.ms, name, limit)
            found.append(Finding(samples.probe.name, name, limit, value, verdict))
    return found
