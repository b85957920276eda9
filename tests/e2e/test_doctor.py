"""The doctor finds nothing wrong with the system that ``make run`` has started."""

import json
import os
import subprocess
import sys
import time

from tests.systems import ROOT, RunningSystem

# The worker's heartbeats come with its start, some seconds after the summary is shown.
PATIENCE_S = 60


def examine(home) -> tuple[int, dict]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("INNKEEPER_DB_")}
    done = subprocess.run(
        [sys.executable, "-P", "manage.py", "doctor", "--json"],
        env=environ | {"INNKEEPER_HOME": str(home)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def test_doctor__whole_system__finds_it_healthy(whole_system: RunningSystem) -> None:
    deadline = time.monotonic() + PATIENCE_S
    status, found = examine(whole_system.home)
    while status != 0 and time.monotonic() < deadline:
        time.sleep(1)  # until the worker beats, bounded by the deadline
        status, found = examine(whole_system.home)

    wrong = [finding for finding in found["findings"] if finding["verdict"] != "ok"]
    assert (status, found["healthy"]) == (0, True)
    assert [finding["check"] for finding in wrong if finding["check"] != "disk"] == []
