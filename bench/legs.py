"""The legs of a run beside the ladder: latency at half the capacity, and counts that must be
exact."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from bench import budgets, workloads
from bench.claims import Claim, at_least, below, exactly, percentile_below
from bench.ladder import Ladder, Say
from bench.load import closed_loop, counted, open_loop, windows
from bench.load.open_loop import Plan, Result, Stream
from bench.load.wire import Request, json_request
from bench.options import Options
from bench.report import Report
from bench.statistics import Verdict, bootstrap, ratio
from bench.systems.innkeeper import RefusedError
from bench.systems.lineup import Systems
from bench.systems.server import HOST

LIVE_PROBES_PER_SECOND = 50.0
CHECKS_PER_SECOND = 100.0
BESIDE_CONNECTIONS = 16
BESIDE_WINDOWS = 4
BESIDE_SECONDS = 3.0  # that the reporters begin before a window's requests and end after them
WINDOWS_TRIED = 8  # for each that is wanted, when the machine is not ours alone
EXACT_CLIENTS, EXACT_PROCESSES = 64, 4
LIMITED_PLAN, PLAN_REQUESTS = "professional", 10_000
ASSEMBLY_PLAN, ASSEMBLY_LIMIT = "trial", 100
INGEST = (
    ("ingest", "usage.ingest_singles", "one a request from 16 connections"),
    ("ingest100", "usage.ingest_rate", "in batches of 100"),
    ("ingest1000", "usage.ingest_rate_thousands", "in batches of 1,000"),
)
COUNTED = ("no_failures", "open_verify_answers", "open_livez_answers", "open_checks_answers")


def run(options: Options, systems: Systems, report: Report, say: Say) -> None:
    """Run the legs that the options name."""
    if "open" in options.parts and systems.ours is not None:
        say(f"open loop: verify at half of its rate, /livez at {LIVE_PROBES_PER_SECOND:g}/s")
        with _told("open loop", report):
            report.windows = _open(options, systems, say)
    if "beside" in options.parts and systems.ours is not None:
        say(f"entitlement checks at {CHECKS_PER_SECOND:g}/s beside {BESIDE_CONNECTIONS} reporters")
        with _told("checks beside ingest", report):
            report.beside = _beside(options, systems, say)
    if "exact" in options.parts and systems.ours is not None:
        say(f"exactness: {options.exact_requests:,} requests on a plan of {PLAN_REQUESTS:,}")
        with _told("exactness", report):
            report.exactness = _exact(options, systems)


@contextmanager
def _told(leg: str, report: Report) -> Iterator[None]:
    """A leg that breaks fails its claim; what was measured before it is not lost."""
    try:
        yield
    except (RefusedError, RuntimeError, OSError) as error:
        report.broken[leg] = str(error)[-500:]


def _open(options: Options, systems: Systems, say: Say) -> windows.Windows:
    assert systems.ours is not None
    server = systems.ours.server
    verify = workloads.verify(systems.ours.platform_key, systems.guests)

    def at_half(plan: Plan) -> Plan:
        """At half of what verify delivers right now: on a machine whose speed changes, half of what
        it delivered minutes ago may be all or a quarter (docs/adr/0145)."""
        capacity = closed_loop.run(
            server.url,
            verify,
            connections=options.connections,
            seconds=1,
            run_id=f"pace{plan.seed}",
        )
        say(f"window {plan.seed}: verify at half of {capacity.per_second:,.0f}/s")
        streams = (
            Stream("verify", capacity.per_second / 2, verify),
            Stream("livez", LIVE_PROBES_PER_SECOND, workloads.live()),
        )
        return replace(plan, streams=streams)

    return windows.take(
        Plan(HOST, server.port, (), options.open_seconds, connections=8),
        wanted=options.open_windows,
        at_most=options.open_windows * WINDOWS_TRIED,
        roots=systems.roots(),
        paced=at_half,
    )


def _beside(options: Options, systems: Systems, say: Say) -> windows.Windows:
    """Ask what is left of a metered feature while its events are reported as fast as they are
    taken, one a request."""
    assert systems.ours is not None
    server, events = systems.ours.server, workloads.units(systems.guests)

    def run(plan: Plan) -> Result:
        seconds = plan.warm_up + plan.duration + BESIDE_SECONDS
        with ThreadPoolExecutor(1) as reporters:
            reporting = reporters.submit(
                closed_loop.run,
                server.url,
                events,
                connections=BESIDE_CONNECTIONS,
                seconds=seconds,
                run_id=f"beside-{plan.seed}",
            )
            result = open_loop.run(plan)
            rate = reporting.result()
        say(f"window {plan.seed}: beside {rate.per_second:,.0f} events/s, {rate.refused} refused")
        if rate.refused or rate.broken:
            raise RuntimeError(f"{rate.refused} events refused, {rate.broken} connections broken")
        return replace(result, beside=rate.per_second)

    checks = Stream("checks", CHECKS_PER_SECOND, workloads.metered(systems.guests))
    return windows.take(
        Plan(HOST, server.port, (checks,), options.open_seconds, connections=8),
        wanted=min(options.open_windows, BESIDE_WINDOWS),
        at_most=min(options.open_windows, BESIDE_WINDOWS) * WINDOWS_TRIED,
        roots=systems.roots(),
        run=run,
    )


def _exact(options: Options, systems: Systems) -> dict[str, object]:
    assert systems.ours is not None
    ours = systems.ours
    guest = ours.limited_guest(LIMITED_PLAN)
    request = json_request("GET", "/api/v1/tenant", guest.key)
    tally = _count(HOST, ours.server.port, request, options.exact_requests)
    found: dict[str, object] = {
        "sent": options.exact_requests,
        "admitted": tally.statuses.get(200, 0),
        "refused": tally.statuses.get(429, 0),
        "unanswered": tally.unanswered,
        "codes": tally.codes,
        "counted": ours.counted_requests(guest),
        "refusal_headers": tally.refusal,
        "seconds": tally.seconds,
    }
    if "assembly" in systems.servers and systems.assembly is not None:
        trial = workloads.assembly_verify(systems.assembly.seed(1, ASSEMBLY_PLAN))[0]
        peer = _count(HOST, systems.servers["assembly"].port, trial, ASSEMBLY_LIMIT * 4)
        found["assembly"] = {
            "limit": ASSEMBLY_LIMIT,
            "sent": ASSEMBLY_LIMIT * 4,
            "admitted": peer.statuses.get(200, 0),
            "refused": peer.statuses.get(429, 0),
        }
    return found


def _count(host: str, port: int, request: Request, requests: int) -> counted.Tally:
    return counted.run(
        host, port, request, requests=requests, clients=EXACT_CLIENTS, processes=EXACT_PROCESSES
    )


def judge(report: Report, *, ours: bool) -> None:
    """Write the claims of what was measured; wall-clock ones are doubted on a busy machine."""
    timed: list[Claim] = []
    if report.ladder is not None:
        timed += _ladder_claims(report.ladder)
    if report.windows is not None:
        timed += _open_claims(report.windows)
    if report.beside is not None:
        timed += _beside_claims(report.beside)
    # A count needs no quiet machine; a figure does.
    report.claims = [
        claim if claim.name in COUNTED else claim.doubted(report.objection) for claim in timed
    ]
    for leg, error in report.broken.items():
        report.claims.append(Claim(leg, f"the leg {leg} runs", "broken", Verdict.FAIL, error))
    if ours and report.exactness:
        report.claims += _exact_claims(report)


def _ladder_claims(ladder: Ladder) -> list[Claim]:
    found, claims = ladder.measurements, []
    verify, peer = found.get("verify"), found.get("assembly")
    if verify and peer:
        limits = budgets.get("load.peer").extra
        claims += [
            at_least(
                "peer_rate",
                f"verify at least {limits['min_rate_ratio']:g} times the assembly's rate",
                verify.ratio_to(peer),
                limits["min_rate_ratio"],
                " ×",
            ),
            below(
                "peer_p99",
                "verify at a lower p99 than the assembly",
                ratio(
                    [one.rate.p99 for one in verify.rounds], [one.rate.p99 for one in peer.rounds]
                ),
                limits["max_p99_ratio"],
                " ×",
            ),
        ]
    for name, budget, words in INGEST:
        if measured := found.get(name):
            limit = budgets.get(budget).extra["goal_events_per_s"]
            rates = bootstrap([rate * measured.rung.items for rate in measured.rates])
            statement = f"at least {limit:,} events/s, durable and deduplicated, {words}"
            claims.append(at_least(f"{name}_rate", statement, rates, limit, " events/s"))
    failed = {name: one.refused() for name, one in found.items() if one.refused()}
    claims.append(exactly("no_failures", "no request of the ladder failed", failed, {}))
    return claims


def _open_claims(taken: windows.Windows) -> list[Claim]:
    claims = []
    for name, budget in (("verify", "class.hot"), ("livez", "health.under_load")):
        entry = budgets.get(budget)
        # The aim of the hot class; the gate where an entry sets no aim of its own.
        limit = entry.goal.get("p99", entry.gate["p99"])
        claims.append(_open_claim(taken, name, limit, "at half of verify's capacity, open loop"))
        lost = taken.lost(name)
        claims.append(exactly(f"open_{name}_answers", f"every {name} request answered", lost, 0))
    return claims


def _beside_claims(taken: windows.Windows) -> list[Claim]:
    limit = budgets.get("usage.check_beside_ingest").gate["p99"]
    words = f"while {BESIDE_CONNECTIONS} connections report single events of its meter"
    return [
        _open_claim(taken, "checks", limit, words),
        exactly("open_checks_answers", "every check answered", taken.lost("checks"), 0),
    ]


def _open_claim(taken: windows.Windows, name: str, limit: float, when: str) -> Claim:
    """Judge the windows that are fit, or the steady ones if they show the claim: a slow or shared
    machine makes no answer faster (docs/adr/0147)."""

    def judged(result: Result, words: str) -> Claim:
        return percentile_below(
            f"open_{name}",
            f"{name} p99 below {limit:g} ms {when}{words}",
            result.streams[name].latencies,
            "p99",
            limit=limit,
            invalid=result.invalid,
        )

    pooled, steady = taken.pooled(), taken.pooled_steady()
    if pooled.invalid is not None and steady is not None:
        despite = judged(steady, f", in {len(taken.steady)} steady windows, slow ones too")
        if despite.verdict is Verdict.PASS:
            return despite
    return judged(pooled, "")


def _exact_claims(report: Report) -> list[Claim]:
    found = report.exactness
    sent = found["sent"]
    numbers = (found["admitted"], found["refused"], found["unanswered"])
    headers = found["refusal_headers"]
    missing = [
        name
        for name in ("retry-after", "ratelimit", "ratelimit-policy", "x-ratelimit-remaining")
        if name not in headers
    ]
    return [
        exactly(
            "exact_limit",
            f"of {sent:,} requests from {EXACT_CLIENTS} clients on a plan of {PLAN_REQUESTS:,}: "
            "admitted, refused, unanswered",
            numbers,
            (PLAN_REQUESTS, sent - PLAN_REQUESTS, 0),
        ),
        exactly("exact_headers", "a refusal carries every limit header; missing", missing, []),
        exactly(
            "exact_count",
            "the tenant's usage record equals what was admitted",
            found["counted"],
            found["admitted"],
        ),
    ]
