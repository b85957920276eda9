"""A core for each serving process: whose it is, and when it is free again."""

import os
import subprocess
import sys

import pytest

from config import cores
from kernel.postgres.lock import FileLock

_PROGRAM = """
import os, sys, threading
from pathlib import Path
from config.cores import keep_to_one
before = os.sched_getaffinity(0)
core = keep_to_one(Path(sys.argv[1]))
later = []
thread = threading.Thread(target=lambda: later.append(os.sched_getaffinity(0)))
thread.start(); thread.join()
wanted = before if core is None else {core}
print(core if os.sched_getaffinity(0) == later[0] == wanted else "elsewhere", flush=True)
sys.stdin.read()
"""
ALL = sorted(os.sched_getaffinity(0))
several_cores = pytest.mark.skipif(
    len(ALL) == 1, reason="with one core there is none to choose: keep_to_one leaves all as it is"
)


class Keeper:
    """A process that has looked for a core of its own; ``core`` is what came of it."""

    def __init__(self, directory):
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.core = self.process.stdout.readline().strip()

    def kill(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def keepers(tmp_path):
    made = []

    def keeper(directory=tmp_path / "cores"):
        made.append(Keeper(directory))
        return made[-1]

    yield keeper
    for one in made:
        one.kill()


@several_cores
def test_keep_to_one__process_after_process__takes_core_after_core_and_then_none(keepers):
    found = [keepers().core for _ in range(len(ALL) + 1)]

    assert found == [*map(str, ALL), "None"]


@several_cores
def test_keep_to_one__holder_killed__is_free_for_the_next(keepers):
    first, _ = keepers(), keepers()
    first.kill()

    assert keepers().core == first.core


@several_cores
def test_keep_to_one__another_directory__has_cores_of_its_own(keepers, tmp_path):
    assert keepers(tmp_path / "one").core == keepers(tmp_path / "other").core


@pytest.mark.parametrize("allowed", [{0}, {3, 5}])
def test_keep_to_one__no_choice_or_not_allowed__changes_nothing(tmp_path, monkeypatch, allowed):
    def refused(*_):
        raise PermissionError("not here")

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed)
    monkeypatch.setattr(os, "sched_setaffinity", refused)
    monkeypatch.setattr(cores, "_kept", [])

    assert cores.keep_to_one(tmp_path) is None
    assert cores._kept == []
    assert all(FileLock(file).try_exclusive() for file in tmp_path.iterdir())
