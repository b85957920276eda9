"""A run's report: JSON with every figure, Markdown for people."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.claims import Claim
from bench.ladder import Ladder, Measurement
from bench.load.windows import Windows
from bench.machine import Fingerprint
from bench.statistics import Verdict, percentile

RESULTS = Path(__file__).resolve().parent / "results"
DOCUMENT = RESULTS.parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- found:begin -->", "<!-- found:end -->"


@dataclass(slots=True)
class Report:
    """Everything a run found."""

    commit: str
    started: str
    command: str
    machine: Fingerprint
    calibration_ms: float
    fdatasync_ms: float
    objection: str | None = None
    ladder: Ladder | None = None
    windows: Windows | None = None
    beside: Windows | None = None
    exactness: dict[str, Any] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    seconds: float = 0.0

    def verdict(self) -> Verdict:
        """FAIL if any claim failed, else INCONCLUSIVE if any is, else PASS."""
        verdicts = {claim.verdict for claim in self.claims}
        for worst in (Verdict.FAIL, Verdict.INCONCLUSIVE):
            if worst in verdicts:
                return worst
        return Verdict.PASS

    def write(self, folder: Path = RESULTS) -> tuple[Path, Path]:
        """Write both files and give their paths; `latest.md` is the same text under a fixed
        name."""
        folder.mkdir(parents=True, exist_ok=True)
        name = self.started.replace(":", "").replace("-", "")
        machine, human = folder / f"{name}.json", folder / f"{name}.md"
        machine.write_text(json.dumps(self.as_json(), indent=1), encoding="utf-8")
        text = markdown(self)
        human.write_text(text, encoding="utf-8")
        (folder / "latest.md").write_text(text, encoding="utf-8")
        return machine, human

    def record(self, document: Path = DOCUMENT) -> None:
        """Put the report into the documentation, in place of the one that stood there.

        Raises:
            ValueError: the document has no place for it.
        """
        text = document.read_text(encoding="utf-8")
        before, begin, rest = text.partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise ValueError(f"{document.name} lacks {BEGIN} … {END}")
        body = markdown(self).replace("# Benchmark", "### Benchmark", 1)
        document.write_text(f"{before}{BEGIN}\n{body}{END}{after}", encoding="utf-8")

    def as_json(self) -> dict[str, Any]:
        """Plain data; open-loop latencies as percentiles and every ladder round as measured."""
        found = {
            name: getattr(self, name)
            for name in ("commit", "started", "command", "calibration_ms", "fdatasync_ms",
                         "objection", "exactness", "seconds")
        }  # fmt: skip
        found["machine"] = asdict(self.machine) | {"id": self.machine.id}
        found["verdict"] = self.verdict()
        found["claims"] = [asdict(claim) for claim in self.claims]
        if self.ladder is not None:
            found["connections"] = self.ladder.connections
            found["seconds_a_round"] = self.ladder.seconds
            found["occupancy"] = asdict(self.ladder.occupancy)
            found["ladder"] = [
                _rung_json(m, self.ladder) for m in self.ladder.measurements.values()
            ]
        if self.windows is not None:
            found["open_loop"] = _open_loop_json(self.windows)
        if self.beside is not None:
            found["beside"] = _open_loop_json(self.beside)
        return found


def _rung_json(found: Measurement, ladder: Ladder) -> dict[str, Any]:
    server_ms, database_ms = found.cpu_ms()
    return {
        "name": found.rung.name,
        "items": found.rung.items,
        "rate": asdict(found.interval()),
        "p50": found.p("p50"),
        "p95": found.p("p95"),
        "p99": found.p("p99"),
        "server_cpu_ms": server_ms,
        "database_cpu_ms": database_ms,
        "failed": found.refused(),
        "ratios": {
            name: asdict(found.ratio_to(other)) for name, other in ladder.measurements.items()
        },
        "rounds": [asdict(one) for one in found.rounds],
    }


def _open_loop_json(windows: Windows) -> dict[str, Any]:
    result = windows.pooled()
    streams = {
        name: {
            "planned": stream.planned,
            "dropped": stream.dropped,
            "broken": stream.broken,
            "timed_out": stream.timed_out,
            "statuses": stream.statuses,
            "latency_ms": {
                f"p{share:g}": percentile(stream.latencies, share / 100)
                for share in (50, 90, 95, 99, 99.9, 100)
                if stream.latencies
            },
        }
        for name, stream in result.streams.items()
    }
    generator = {
        "lag_p99_ms": result.lag_p99_ms,
        "lag_histogram": result.lag_histogram,
        "core_share": result.core_share,
        "invalid": result.invalid,
    }
    taken = [
        {
            "objection": window.objection,
            "steady": window.steady,
            "lag_p99_ms": window.result.lag_p99_ms,
            "rates": window.rates,
            "p99_ms": {
                name: stream.percentile(0.99)
                for name, stream in window.result.streams.items()
                if stream.latencies
            },
        }
        for window in windows.taken
    ]
    return {"streams": streams, "generator": generator, "windows": taken}


def markdown(report: Report) -> str:
    """The report for people."""
    m = report.machine
    lines = [
        f"# Benchmark of {report.commit}, {report.started}",
        "",
        f"**{report.verdict()}**"
        + (f": {report.objection}" if report.objection else "")
        + f". `{report.command}`, {report.seconds:.0f} s, loopback, everything on.",
        "",
        f"Machine {m.id}: {m.cpus} × {m.cpu}, {m.memory_mb:,} MB, Linux {m.kernel}, "
        f"Python {m.python}; calibration {report.calibration_ms:.3f} ms, "
        f"fdatasync {report.fdatasync_ms:.3f} ms.",
        "",
    ]
    if report.claims:
        lines += ["| claim | found | verdict |", "|---|---|---|"]
        lines += [_claim_row(claim) for claim in report.claims]
        lines.append("")
    if report.ladder is not None:
        lines += _ladder_lines(report.ladder)
    if report.windows is not None:
        lines += _half_lines(report.windows)
    if report.beside is not None:
        lines += _beside_lines(report.beside)
    if report.exactness:
        lines += _exact_lines(report.exactness)
    return "\n".join(lines).rstrip() + "\n"


def _exact_lines(found: dict[str, Any]) -> list[str]:
    lines = [
        f"Exact: {found['sent']:,} requests in {found['seconds']:.1f} s; {found['admitted']:,} "
        f"admitted, {found['refused']:,} refused, {found['counted']:,} in the usage record."
    ]
    if peer := found.get("assembly"):
        lines[0] += (
            f" The assembly, asked {peer['sent']} times with a limit of {peer['limit']} a day, "
            f"admitted {peer['admitted']}: each of its processes counts for itself."
        )
    return [*lines, ""]


def _claim_row(claim: Claim) -> str:
    reason = f" ({claim.reason})" if claim.reason else ""
    return f"| {claim.statement} | {claim.found} | **{claim.verdict}**{reason} |"


def _ladder_lines(ladder: Ladder) -> list[str]:
    found, used = ladder.measurements, ladder.occupancy
    peer, floor = found.get("assembly"), found.get("django")
    lines = [
        f"Closed loop, {ladder.connections} kept-alive connections, rounds of "
        f"{ladder.seconds:g} s in ABBA order; medians, rates with their 95 % interval. "
        f"CPUs: ours {used.ours:.0%}, others {used.foreign:.0%}, steal {used.steal:.0%}.",
        "",
        "| rung | requests/s | p50 ms | p99 ms | CPU ms: server + PostgreSQL "
        "| of bare Django | × assembly | failed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for measurement in found.values():
        rung, rate = measurement.rung, measurement.interval()
        server_ms, database_ms = measurement.cpu_ms()
        items = f" = {rate.estimate * rung.items:,.0f} events/s" if rung.items > 1 else ""
        share = f"{measurement.ratio_to(floor).estimate:.0%}" if floor else ""
        times = str(measurement.ratio_to(peer)) if peer else ""
        lines.append(
            f"| {rung.title} | {rate.estimate:,.0f} [{rate.low:,.0f}, {rate.high:,.0f}]{items} "
            f"| {measurement.p('p50'):.2f} | {measurement.p('p99'):.2f} "
            f"| {server_ms:.3f} + {database_ms:.3f} | {share} | {times} "
            f"| {measurement.refused():,} |"
        )
    return [*lines, ""]


def _half_lines(windows: Windows) -> list[str]:
    asked = [window.rates["verify"] for window in windows.taken]
    return _open_loop_lines(
        windows,
        "verify at half of what it delivered right before each window "
        f"({min(asked):,.0f} to {max(asked):,.0f}/s, {sum(asked) / len(asked):,.0f}/s in the mean) "
        "with /livez beside it",
    )


def _beside_lines(windows: Windows) -> list[str]:
    reported = [window.result.beside for window in windows.taken]
    return _open_loop_lines(
        windows,
        "values of a metered entitlement while single events of its meter are reported in a closed "
        f"loop ({min(reported):,.0f} to {max(reported):,.0f}/s, "
        f"{sum(reported) / len(reported):,.0f}/s in the mean)",
    )


def _open_loop_lines(windows: Windows, what: str) -> list[str]:
    result = windows.pooled()
    lines = [
        f"Open loop, Poisson arrivals, {what}; latency from the intended time; "
        f"{len(windows.fit)} of {len(windows.taken)} windows fit to judge, {len(windows.steady)} "
        "steady. "
        f"Generator: lag p99 {result.lag_p99_ms:.2f} ms, {result.core_share:.0%} of a core"
        + (f", **invalid: {result.invalid}**." if result.invalid else "."),
        "",
        "| stream | requests | p50 ms | p95 ms | p99 ms | max ms | statuses | lost |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, stream in result.streams.items():
        if not stream.latencies:
            lines.append(f"| {name} | {stream.planned:,} | no answers | | | | | |")
            continue
        p50, p95, p99, top = (stream.percentile(share) for share in (0.5, 0.95, 0.99, 1.0))
        lost = stream.dropped + stream.broken + stream.timed_out
        statuses = ", ".join(f"{code}: {count:,}" for code, count in stream.statuses.items())
        lines.append(
            f"| {name} | {stream.planned:,} | {p50:.2f} | {p95:.2f} | {p99:.2f} | {top:.2f} "
            f"| {statuses} | {lost} |"
        )
    return [*lines, ""]
