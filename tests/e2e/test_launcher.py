"""``make run`` as a person meets it: started, pasted from, interrupted, killed, started again."""

import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import requests

from kernel.postgres.process import Postmaster
from tests.systems import RunningSystem, free_port, running_system


@pytest.fixture
def home() -> Iterator[Path]:
    with TemporaryDirectory(prefix="innkeeper-run-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder) / "home"


def answers(system: RunningSystem) -> bool:
    try:
        return requests.get(f"{system.base_url}/readyz", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def cpu_seconds() -> float:
    """CPU time of all child processes that have ended so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def living(session: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(entry.name)) == session and (entry / "exe").readlink():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def tasks_of(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").iterdir())


def test_run__when_ready__has_kept_its_keys_privately(whole_system: RunningSystem) -> None:
    demo = whole_system.demo()

    assert (whole_system.home / "demo.json").stat().st_mode & 0o777 == 0o600
    assert demo["base_url"] == whole_system.base_url
    assert [tenant["plan"] for tenant in demo["tenants"]] == ["basic", "professional", "enterprise"]
    assert demo["admin"]["url"] == f"{whole_system.base_url}/admin/"
    assert demo["platform_key"].startswith("ikp_live_")


def test_run__when_ready__prints_four_lines_that_work_as_pasted(
    whole_system: RunningSystem,
) -> None:
    lines = [line for line in whole_system.said().splitlines() if line.startswith("curl ")]

    assert len(lines) == 4
    for line in lines:
        pasted = line.replace("curl -s", "curl -s --fail-with-body")
        done = subprocess.run(["bash", "-c", pasted], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, done.stdout)


def test_run__as_many_serving_processes_as_cores__each_keeps_to_its_own(
    whole_system: RunningSystem,
) -> None:
    server = whole_system.record()["sessions"]["server"]
    serving = [pid for pid in living(server) if parent(pid) == server]
    cores = os.sched_getaffinity(0)

    kept = [
        {frozenset(os.sched_getaffinity(int(task.name))) for task in tasks_of(pid)}
        for pid in serving
    ]

    wanted = [{frozenset({core})} for core in sorted(cores)]
    assert sorted(kept, key=lambda found: sorted(map(sorted, found))) == wanted


def test_second_launcher__on_the_same_home__refuses_and_names_the_first(
    whole_system: RunningSystem,
) -> None:
    second = RunningSystem(whole_system.home, free_port())

    assert second.process.wait(timeout=30) == 1
    assert f"already runs on {whole_system.home}: {whole_system.base_url}" in second.said()
    assert answers(whole_system)


def test_run__on_a_port_in_use__says_so_and_leaves_nothing_running(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        system = RunningSystem(home, port)

        assert system.process.wait(timeout=30) == 1
    assert f"Port {port} on 127.0.0.1 cannot be used" in system.said()
    assert not (home / "postgres").exists()


def test_run__interrupted_and_started_again__reuses_its_data_within_eight_seconds(
    home: Path,
) -> None:
    with running_system(home) as first:
        before = first.demo()
        sessions = first.record()["sessions"]
        server = Postmaster.read(home / "postgres" / "data")
        assert server is not None
        assert server.alive()

    assert first.process.returncode == 0
    assert not server.alive()
    assert {name: living(pid) for name, pid in sessions.items()} == {"server": [], "worker": []}

    quiet = os.getloadavg()[0] < os.cpu_count()
    begun, used = time.monotonic(), cpu_seconds()
    with running_system(home, first.port) as second:
        took = time.monotonic() - begun
        assert answers(second)
        assert second.demo() == before

    assert "Schema and demo data" not in second.said()
    # The promise is eight seconds of wall time on two cores; on a crowded machine only the work
    # can be counted, and that much fits into it.
    assert cpu_seconds() - used < 12.0
    assert took < 8.0 or not quiet


def test_run__after_everything_was_killed__comes_back_with_its_data(home: Path) -> None:
    first = RunningSystem(home, free_port()).wait_until_shown()
    before = first.demo()
    server = Postmaster.read(home / "postgres" / "data")
    assert server is not None

    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    os.kill(server.pid, signal.SIGKILL)

    with running_system(home, first.port) as second:
        assert "Ended the server of an earlier run that was killed." in second.said()
        assert "Ended the worker of an earlier run that was killed." in second.said()
        assert second.demo() == before
        assert answers(second)


def test_run__after_its_launcher_alone_was_killed__stops_the_database_it_inherits(
    home: Path,
) -> None:
    first = RunningSystem(home, free_port()).wait_until_shown()
    server = Postmaster.read(home / "postgres" / "data")
    assert server is not None
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    assert server.alive()

    with running_system(home, first.port) as second:
        assert Postmaster.read(home / "postgres" / "data") == server
        assert answers(second)

    assert not server.alive()


def test_run__whose_server_dies__reports_it_and_ends(home: Path) -> None:
    system = RunningSystem(home, free_port()).wait_until_shown()

    os.kill(system.record()["sessions"]["server"], signal.SIGKILL)

    assert system.process.wait(timeout=60) == 1
    assert "The server ended with -9" in system.said()
    assert not Postmaster.read(home / "postgres" / "data")


def test_run__whose_worker_dies__reports_it_and_starts_another(home: Path) -> None:
    with running_system(home) as system:
        first = system.record()["sessions"]["worker"]

        os.kill(first, signal.SIGKILL)

        system.wait_for("Starting the worker again")
        deadline = time.monotonic() + 30
        while system.record()["sessions"]["worker"] == first and time.monotonic() < deadline:
            time.sleep(0.1)
        assert system.record()["sessions"]["worker"] != first
        assert answers(system)
