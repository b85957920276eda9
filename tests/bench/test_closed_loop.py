"""wrk as a closed-loop generator."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from bench.load import closed_loop
from bench.load.wire import UNIQUE, Request

pytestmark = pytest.mark.serial  # times real processes

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")


def test_script__texts_with_quotes_and_newlines__are_escaped_for_lua() -> None:
    text = closed_loop.script((Request("POST", "/a", {"X": 'q"'}, 'x"]]\n'),), "r")
    assert '"q\\034"' in text
    assert '"x\\034\\093\\093\\010"' in text


def test_run__no_wrk__says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(closed_loop.WrkMissingError, match="apt-get install wrk"):
        closed_loop.run("http://h", (Request("GET", "/"),), connections=1, seconds=1, run_id="r")


def test_parse__output_with_a_report_before_it__reads_the_marked_line() -> None:
    line = (
        '{"requests": 10, "seconds": 2.0, "p50": 1, "p95": 2, "p99": 3, "max": 4, '
        '"refused": 4, "broken": 0}'
    )
    rate = closed_loop.parse(f"Running 2s test\n{closed_loop.RESULT_MARK}{line}\n")
    assert rate.per_second == 3.0


@needs_wrk
def test_run__delayed_server__reaches_the_rate_that_the_delay_allows(
    stub: Callable[..., int],
) -> None:
    port = stub(delay_ms=20)
    request = Request("POST", "/", {"A": "b"}, f'{{"id":"{UNIQUE}"}}')
    rate = closed_loop.run(
        f"http://127.0.0.1:{port}", (request,), connections=4, seconds=1, run_id="r"
    )
    assert 100 < rate.per_second <= 200  # 4 connections, 20 ms each
    assert 20 <= rate.p50 < 40
    assert rate.broken == 0
