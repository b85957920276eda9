"""The command line and the report, without running anything."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench import legs, options
from bench.claims import Claim, at_least, below, percentile_below
from bench.cli import EXIT, conclude
from bench.cli import options as read
from bench.ladder import Ladder, Measurement, Round, Rung
from bench.load.closed_loop import Rate
from bench.load.open_loop import Result, StreamResult
from bench.load.windows import Window, Windows
from bench.load.wire import Request
from bench.machine import Fingerprint, Occupancy
from bench.options import PARTS, TITLES
from bench.report import Report, markdown
from bench.statistics import Interval, Verdict
from bench.systems.server import Server

QUIET = Occupancy(10.0, ours=0.9, foreign=0.02, steal=0.0, pressure=0.5)


def rounds(rates: list[float], p99: float) -> list[Round]:
    return [
        Round(
            Rate(int(rate * 2), 2.0, p50=1.0, p95=2.0, p99=p99, max=9.0, refused=0, broken=0),
            server_cpu_ms=0.4,
            database_cpu_ms=0.2,
        )
        for rate in rates
    ]


def ladder(ours: list[float], theirs: list[float]) -> Ladder:
    process = subprocess.Popen(["true"])
    process.wait()
    server = Server("s", 1, process)
    found = {}
    for name, rates, p99 in (("verify", ours, 4.0), ("assembly", theirs, 60.0)):
        rung = Rung(name, TITLES[name], server, (Request("GET", "/"),))
        found[name] = Measurement(rung, rounds(rates, p99))
    return Ladder(found, QUIET, 8, 2.0)


def report(**changes: object) -> Report:
    machine = Fingerprint("cpu", 2, 1000, "6", "3.11", virtual=True)
    found = Report("abc", "2026-01-01T00:00:00Z", "python -m bench", machine, 0.2, 0.1)
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def test_options__nothing_given__runs_every_part() -> None:
    found = read([])
    assert (found.parts, found.rounds, found.seconds) == (PARTS, 6, 2.0)


def test_options__quick_and_only__are_short_and_few() -> None:
    found = read(["--quick", "--only", "verify", "assembly"])
    assert (found.parts, found.rounds, found.seconds) == (("verify", "assembly"), 2, 1.0)
    assert found.command == "python -m bench --quick --only verify assembly"


def test_options__default_run__measures_for_less_than_four_minutes() -> None:
    usual = options.Options()
    rungs = len(PARTS) - len(options.LEGS)
    measuring = rungs * (usual.rounds * usual.seconds + 1) + usual.open_seconds
    assert measuring < 170  # what remains is starting the systems and the exact leg


def test_options__unknown_part__is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read(["--only", "everything"])
    assert "invalid choice" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (Interval(9, 8.1, 10), Verdict.PASS),
        (Interval(9, 7.9, 10), Verdict.INCONCLUSIVE),
        (Interval(7, 6, 7.9), Verdict.FAIL),
    ],
)
def test_at_least__interval_against_eight__needs_all_of_it(
    found: Interval, verdict: Verdict
) -> None:
    assert at_least("n", "s", found, 8.0).verdict is verdict


def test_below__interval_reaching_the_limit__is_inconclusive() -> None:
    assert below("n", "s", Interval(0.9, 0.8, 1.0), 1.0).verdict is Verdict.INCONCLUSIVE


def test_percentile_below__invalid_generator__shows_nothing_whatever_the_latencies() -> None:
    claim = percentile_below("n", "s", [0.1] * 1000, "p99", limit=10, invalid="it was late")
    assert (claim.verdict, claim.reason) == (Verdict.INCONCLUSIVE, "it was late")
    assert percentile_below("n", "s", [0.1] * 1000, "p99", limit=10).verdict is Verdict.PASS
    assert percentile_below("n", "s", [], "p99", limit=10).verdict is Verdict.FAIL


def test_doubted__busy_machine__turns_pass_and_fail_into_inconclusive() -> None:
    for verdict in (Verdict.PASS, Verdict.FAIL):
        claim = Claim("n", "s", "f", verdict).doubted("machine busy: x")
        assert (claim.verdict, claim.reason) == (Verdict.INCONCLUSIVE, "machine busy: x")


def test_judge__ten_times_the_assembly__shows_rate_and_p99() -> None:
    found = report(ladder=ladder([3000, 3100, 2900, 3050], [300, 305, 295, 300]))
    legs.judge(found, ours=True)
    verdicts = {claim.name: claim.verdict for claim in found.claims}
    assert verdicts == {
        "peer_rate": Verdict.PASS,
        "peer_p99": Verdict.PASS,
        "no_failures": Verdict.PASS,
    }
    assert found.verdict() is Verdict.PASS


def test_judge__seven_times_the_assembly__fails() -> None:
    found = report(ladder=ladder([2100, 2120, 2080, 2110], [300, 300, 300, 300]))
    legs.judge(found, ours=True)
    assert found.claims[0].verdict is Verdict.FAIL
    assert EXIT[found.verdict()] == 1


def test_judge__busy_machine__is_inconclusive_but_counts_are_judged_all_the_same() -> None:
    exact = {
        "sent": 12_000, "admitted": 10_001, "refused": 1_999, "unanswered": 0,
        "counted": 10_001, "refusal_headers": {"retry-after": "5"}, "seconds": 4.0,
        "assembly": {"sent": 400, "limit": 100, "admitted": 200},
    }  # fmt: skip
    found = report(
        ladder=ladder([3000, 3000], [300, 300]), objection="machine busy: x", exactness=exact
    )
    legs.judge(found, ours=True)
    verdicts = {claim.name: claim.verdict for claim in found.claims}
    assert verdicts["peer_rate"] is Verdict.INCONCLUSIVE
    assert verdicts["exact_limit"] is Verdict.FAIL
    assert verdicts["exact_headers"] is Verdict.FAIL
    assert verdicts["exact_count"] is Verdict.PASS
    assert "asked 400 times with a limit of 100 a day, admitted 200" in markdown(found)


def test_judge__lost_answers_of_the_open_loop__fail_however_quick_the_others() -> None:
    streams = {
        "verify": StreamResult(
            planned=1001, broken=1, latencies=[2.0] * 1000, statuses={200: 1000}
        ),
        "livez": StreamResult(planned=1000, latencies=[1.0] * 1000, statuses={200: 1000}),
    }
    window = Window(Result(streams, 0.1, {}, 0.1, None), None, True, {"verify": 900.0})
    found = report(windows=Windows((window,), 1))
    legs.judge(found, ours=True)
    assert [(claim.name, claim.verdict) for claim in found.claims] == [
        ("open_verify", Verdict.PASS),
        ("open_verify_answers", Verdict.FAIL),
        ("open_livez", Verdict.PASS),
        ("open_livez_answers", Verdict.PASS),
    ]


@pytest.mark.parametrize(
    ("latency", "verdict"), [(19.0, Verdict.PASS), (21.0, Verdict.FAIL)], ids=["below", "above"]
)
def test_judge__checks_beside_reports__are_held_to_their_own_limit(
    latency: float, verdict: Verdict
) -> None:
    checks = StreamResult(planned=1000, latencies=[latency] * 1000, statuses={200: 1000})
    result = Result({"checks": checks}, 0.1, {}, 0.1, None, beside=2_500.0)
    found = report(beside=Windows((Window(result, None, True, {"checks": 100.0}),), 1))
    legs.judge(found, ours=True)
    assert [(claim.name, claim.verdict) for claim in found.claims] == [
        ("open_checks", verdict),
        ("open_checks_answers", Verdict.PASS),
    ]
    assert "2,500 to 2,500/s" in markdown(found)


def test_judge__broken_leg__fails_and_keeps_what_was_measured() -> None:
    found = report(ladder=ladder([3000, 3000], [300, 300]), broken={"exactness": "HTTP 500"})
    legs.judge(found, ours=True)
    last = found.claims[-1]
    assert (last.name, last.verdict, last.reason) == ("exactness", Verdict.FAIL, "HTTP 500")
    assert found.claims[0].verdict is Verdict.PASS


def test_markdown__measured_ladder__shows_ratio_and_verdict() -> None:
    found = report(ladder=ladder([3000, 3000], [300, 300]))
    legs.judge(found, ours=True)
    text = markdown(found)
    assert (
        "| verify at least 8 times the assembly's rate | 10.00 [10.00, 10.00] × | **PASS** |"
        in text
    )
    assert "| POST /api/v1/keys/verify | 3,000 [3,000, 3,000] |" in text


def test_write__report__is_json_and_markdown(tmp_path: Path) -> None:
    found = report(ladder=ladder([3000, 3000], [300, 300]))
    machine, human = found.write(tmp_path)
    assert machine.read_text().startswith("{")
    assert human.read_text() == (tmp_path / "latest.md").read_text() == markdown(found)


def test_record__document_with_an_older_report__holds_the_new_one_instead(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text("# Page\n<!-- found:begin -->\nold\n<!-- found:end -->\nend\n")
    report().record(document)
    text = document.read_text()
    assert text.startswith("# Page\n<!-- found:begin -->\n### Benchmark of abc")
    assert text.endswith("<!-- found:end -->\nend\n")
    assert "old" not in text


def test_record__document_without_a_place__is_refused(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text("# Page\n")
    with pytest.raises(ValueError, match="lacks"):
        report().record(document)


def test_conclude__inconclusive_run__says_so_loudly(capsys: pytest.CaptureFixture[str]) -> None:
    conclude(
        report(
            objection="machine busy: others",
            claims=[Claim("n", "a statement", "f", Verdict.INCONCLUSIVE, "why")],
        )
    )
    shown = capsys.readouterr().err
    assert "INCONCLUSIVE: this run does not show what is claimed." in shown
    assert "machine busy: others. Repeat it on a quiet machine." in shown
