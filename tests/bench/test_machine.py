"""Facts about the machine and who is using it."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import budgets, machine, processes

pytestmark = pytest.mark.serial  # times real processes


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_fingerprint__taken_twice__is_the_same_and_short() -> None:
    assert machine.fingerprint().id == machine.fingerprint().id
    assert len(machine.fingerprint().id) == 12


def test_fdatasync__real_folder__takes_time(tmp_path: Path) -> None:
    assert 0 < machine.fdatasync_ms(tmp_path, count=5) < 1000


def test_objection__steady_samples__is_none() -> None:
    assert machine.Calibration([0.2, 0.201] * 50).objection() is None


def test_objection__second_half_slower__names_the_drift() -> None:
    objection = machine.Calibration([0.2] * 50 + [0.22] * 50).objection()
    assert objection == "machine busy: calibration moved from 0.200 to 0.220 ms within the run"


def test_objection__long_tail__names_the_factor() -> None:
    samples = ([0.2] * 48 + [0.9] * 2) * 2
    assert machine.Calibration(samples).objection() == (
        "machine busy: calibration p99 is 4.5 times quiet"
    )


def test_objection__slower_than_the_stored_quiet_median__compares_with_that() -> None:
    calibration = machine.Calibration([0.7] * 100)
    assert calibration.objection(quiet=0.2) == "machine busy: calibration p99 is 3.5 times quiet"


@pytest.mark.parametrize(
    ("factor", "slow"), [(0.5, False), (1.0, False), (1.2, False), (1.6, True)]
)
def test_slower_than_reference__steady_machine__only_its_speed_decides(
    factor: float, slow: bool
) -> None:
    reference = budgets.meta("reference_python_ms")
    found = machine.slower_than_reference(machine.Calibration([factor * reference] * 100))
    assert (found is not None) == slow
    if slow:
        assert found == (
            "machine slow: pure Python takes 1.6 times what the reference machine needs"
        )


def test_quietest__three_sessions__keeps_the_lowest_median_by_kind(tmp_path: Path) -> None:
    seen = [
        machine.quietest(tmp_path, kind, machine.Calibration([value] * 4))
        for kind, value in (("a", 0.3), ("a", 0.2), ("a", 0.4), ("b", 0.5))
    ]
    assert seen == [0.3, 0.2, 0.2, 0.5]


def test_cpu_seconds__own_work_and_that_of_ended_children__is_counted() -> None:
    before = processes.cpu_seconds(os.getpid())
    burn(0.1)
    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
    assert processes.cpu_seconds(os.getpid()) - before >= 0.12


def test_tree__process_that_is_gone__is_empty() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert processes.tree(child.pid) == []


def test_occupant__own_work__is_ours_and_not_foreign() -> None:
    occupant = machine.Occupant(os.getpid())
    burn(0.3)
    assert occupant.read().ours * processes.CPUS * occupant.read().seconds >= 0.25


@pytest.mark.parametrize(
    ("foreign", "steal", "objection"),
    [
        (0.05, 0.01, None),
        (0.2, 0.0, "machine busy: other processes used 20% of the CPUs"),
        (0.0, 0.06, "machine busy: the hypervisor took 6% of the CPUs"),
    ],
)
def test_occupancy__shares__object_above_their_limits(
    foreign: float, steal: float, objection: str | None
) -> None:
    occupancy = machine.Occupancy(1.0, ours=0.5, foreign=foreign, steal=steal, pressure=0.1)
    assert occupancy.objection() == objection


def test_watch__garbage_collection_inside__is_timed_but_not_foreign() -> None:
    with machine.Watch() as watch:
        gc.collect()
    assert watch.result.gc_s > 0
    assert not machine.Contamination(switches=0, steal_s=0.0, gc_s=1.0).foreign
    assert machine.Contamination(switches=1, steal_s=0.0, gc_s=0.0).foreign


def test_stop__process_that_ignores_the_polite_signal__is_killed() -> None:
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print(1, flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True
    )
    assert child.stdout is not None
    child.stdout.readline()
    processes.stop(child, wait=0.2)
    child.stdout.close()
    assert child.returncode == -9
