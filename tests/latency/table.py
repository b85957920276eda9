"""The deterministic budgets of every route: tests/latency/deterministic.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

from bench.latency.counts import Counts

FILE = Path(__file__).with_name("deterministic.toml")
NAMES = ("statements", "round_trips", "commits", "notifies", "response_bytes")
# Ids, times and generated names vary in length; a body may grow by this much without a word.
BYTES_SLACK = 1.10
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


def write(found: dict[str, Counts]) -> None:
    """Write the table anew from measured counts."""
    lines = [HEADER]
    for name, counts in sorted(found.items()):
        lines.append(f'["{name}"]')
        lines += [f"{key} = {_budget(key, getattr(counts, key))}" for key in NAMES]
        lines.append("")
    FILE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _budget(key: str, value: int) -> int:
    return round(value * BYTES_SLACK) if key == "response_bytes" else value
