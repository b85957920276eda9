"""What a run is to show, each claim with its limit from docs/budgets.toml and one of three
verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.statistics import Interval, Verdict, judge, percentile


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement, what was found, and whether that shows it; `reason` says why not."""

    name: str
    statement: str
    found: str
    verdict: Verdict
    reason: str = ""

    def doubted(self, objection: str | None) -> Claim:
        """The same claim, inconclusive if the machine was not fit to judge."""
        if objection is None or self.verdict is Verdict.INCONCLUSIVE:
            return self
        return Claim(self.name, self.statement, self.found, Verdict.INCONCLUSIVE, objection)


def at_least(name: str, statement: str, found: Interval, limit: float, unit: str = "") -> Claim:
    """PASS if the whole interval reaches the limit, FAIL if none of it does."""
    verdict, reason = Verdict.INCONCLUSIVE, "the interval contains the limit"
    if found.low >= limit:
        verdict, reason = Verdict.PASS, ""
    elif found.high < limit:
        verdict, reason = Verdict.FAIL, f"below {limit:g}{unit}"
    return Claim(name, statement, f"{found}{unit}", verdict, reason)


def below(name: str, statement: str, found: Interval, limit: float, unit: str = "") -> Claim:
    """PASS if the whole interval lies below the limit, FAIL if none of it does."""
    verdict, reason = Verdict.INCONCLUSIVE, "the interval contains the limit"
    if found.high < limit:
        verdict, reason = Verdict.PASS, ""
    elif found.low >= limit:
        verdict, reason = Verdict.FAIL, f"not below {limit:g}{unit}"
    return Claim(name, statement, f"{found}{unit}", verdict, reason)


def percentile_below(
    name: str,
    statement: str,
    samples: Sequence[float],
    percentile_name: str,
    *,
    limit: float,
    invalid: str | None = None,
) -> Claim:
    """The binomial verdict on latencies in milliseconds; an invalid run shows nothing."""
    if not samples:
        return Claim(name, statement, "no answers", Verdict.FAIL, "no request was answered")
    share = float(percentile_name.removeprefix("p")) / 100
    found = f"{percentile_name} {percentile(samples, share):.2f} ms of {len(samples):,} requests"
    if invalid is not None:
        return Claim(name, statement, found, Verdict.INCONCLUSIVE, invalid)
    verdict = judge(samples, percentile_name, limit)
    reasons = {
        Verdict.PASS: "",
        Verdict.FAIL: f"{percentile_name} is above {limit:g} ms",
        Verdict.INCONCLUSIVE: f"too few samples, or too near to {limit:g} ms",
    }
    return Claim(name, statement, found, verdict, reasons[verdict])


def exactly(name: str, statement: str, found: object, wanted: object) -> Claim:
    """PASS if equal: no noise excuses a count."""
    if found == wanted:
        return Claim(name, statement, f"{found}", Verdict.PASS)
    return Claim(name, statement, f"{found}", Verdict.FAIL, f"expected {wanted}")
