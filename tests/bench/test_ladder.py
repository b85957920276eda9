"""The order of the ladder, and the systems that it starts."""

from __future__ import annotations

import http.client
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import processes
from bench.ladder import Rung, climb
from bench.load import closed_loop
from bench.load.closed_loop import Rate
from bench.load.wire import Request
from bench.systems import floors, innkeeper
from bench.systems.server import Server, StartError, free_port, spawn, wait_until_up

pytestmark = pytest.mark.serial  # times real processes


def rungs(names: str) -> list[Rung]:
    process = subprocess.Popen(["true"])
    process.wait()
    server = Server("s", 1, process)
    return [Rung(name, name, server, (Request("GET", f"/{name}"),)) for name in names]


def test_climb__two_rounds__run_forwards_and_then_backwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    visited: list[str] = []

    def run(url: str, requests: tuple[Request, ...], **_: object) -> Rate:
        visited.append(requests[0].path)
        return Rate(100, 1.0, 1.0, 2.0, 3.0, 4.0, 0, 0)

    monkeypatch.setattr(closed_loop, "run", run)
    lines: list[str] = []
    ladder = climb(rungs("abc"), rounds=2, seconds=1, connections=8, own_roots=(), say=lines.append)
    assert "".join(visited) == "/a/b/c" + "/a/b/c" + "/c/b/a"
    assert {name: len(found.rounds) for name, found in ladder.measurements.items()} == {
        "a": 2,
        "b": 2,
        "c": 2,
    }
    assert len(lines) == 2


def test_floor__raw_wsgi__answers_counts_its_cpu_and_leaves_nothing_running(tmp_path: Path) -> None:
    server = floors.start("raw", tmp_path)
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b'{"status":"ok"}'
        connection.close()
        assert server.own_cpu_seconds() > 0
    finally:
        server.close()
    assert server.process.poll() is not None
    assert server.own_cpu_seconds() == 0


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_run__terminated__stops_what_it_started(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = spawn([sys.executable, "-m", "bench", "--only", "raw", "--seconds", "30"], log)
    deadline = time.monotonic() + 30
    while len(processes.tree(process.pid)) < 5 and time.monotonic() < deadline:
        time.sleep(0.1)  # the run, granian with two workers, and wrk
    started = processes.tree(process.pid)
    assert len(started) >= 5
    process.terminate()
    assert process.wait(30) == 130
    assert [pid for pid in started if processes.tree(pid)] == []


def test_wait_until_up__process_that_ends__tells_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = spawn(["sh", "-c", "echo cannot start; exit 3"], log)
    with pytest.raises(StartError, match="cannot start"):
        wait_until_up(process, free_port(), "/", log, seconds=5)


@pytest.mark.parametrize("before", [b"the user's own", None])
def test_kept__file_that_a_run_overwrites__is_put_back(
    tmp_path: Path, before: bytes | None
) -> None:
    file = tmp_path / "demo.json"
    if before is not None:
        file.write_bytes(before)
    with innkeeper._kept(file):
        file.write_bytes(b"of this run")
    assert (file.read_bytes() if file.exists() else None) == before
