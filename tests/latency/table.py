"""The deterministic budgets of every route: tests/latency/deterministic.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path

from bench.latency.counts import Counts

FILE = Path(__file__).with_name("deterministic.toml")
NAMES = ("statements", "round_trips", "commits", "notifies", "response_bytes")
# Ids, times and generated names vary in length; a body may grow by this much without a word.
BYTES_SLACK = 1.20
# Pages whose length follows what is in the database get one cap instead.
CAPPED = ("/admin/", "/api/v1/audit/export", "/api/v1/audit/feed")
CAP = 256_000
# A histogram for each route and method in use: about 1.3 KB each.
CAP_OF_METRICS = 400_000
HEADER = """\
# What each route may cost, in counts that no noise can move. A request above its row fails the
# suite: make it cheaper, or write the row anew with `make perf-test ARGS='tests/latency -k counts'`
# and WRITE_COUNTS=1, and say in the commit why it costs more.
#   statements      SQL statements without BEGIN and COMMIT, the gate's included
#   round_trips     with them
#   commits         transactions committed, single statements included
#   notifies        NOTIFY statements: none in any request
#   response_bytes  of the body, before compression is asked for
"""

COUNTS: dict[str, dict[str, int]] = tomllib.loads(FILE.read_text(encoding="utf-8"))


def write(found: dict[str, Counts], keep: Iterable[str]) -> None:
    """Write the table anew from measured counts; rows that were not measured stay if named."""
    rows = {name: COUNTS[name] for name in keep if name in COUNTS}
    for name, counts in found.items():
        rows[name] = {key: getattr(counts, key) for key in NAMES}
        rows[name]["response_bytes"] = _bytes(name, counts.response_bytes)
    lines = [HEADER]
    for name, row in sorted(rows.items()):
        lines += [f'["{name}"]', *(f"{key} = {value}" for key, value in row.items()), ""]
    FILE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _bytes(name: str, value: int) -> int:
    path = name.split(" ", 1)[1]
    if path == "/metrics":
        return CAP_OF_METRICS
    return CAP if path.startswith(CAPPED) else round(value * BYTES_SLACK)
