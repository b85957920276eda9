"""The sealer's real process: killed at its steps, doubled, beside an idle writer.

Small versions of ``python -m bench.audit killed`` and ``storm``. A drill forks, so it runs in a
process of its own; it balances its accounts itself and fails where they do not.
"""

import json
import subprocess
import sys
from typing import Any

from tests.database import SessionDatabase


def drill(name: str) -> Any:
    """Run a drill against the test's database and with its keys and anchors."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.audit", name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_sealer__killed_at_its_steps_and_at_random__seals_each_commit_once(
    database: SessionDatabase,
) -> None:
    found = drill("small-killed")
    assert found["killed"] == 8
    assert (found["committed"], found["sealed"]) == (200, 200)
    assert (found["logs"], found["valid"]) == (2, True)


def test_sealer__two_of_them_and_an_idle_writer__seal_all_others_meanwhile(
    database: SessionDatabase,
) -> None:
    """The idle writer commits only after three entries of another tenant were sealed."""
    found = drill("small-storm")
    assert found["sealed"] == found["committed"] > 32
    assert (found["logs"], found["valid"]) == (4, True)


def test_streams__worker_killed_in_the_middle__lose_nothing_and_keep_the_order(
    database: SessionDatabase,
) -> None:
    """A batch that came again is the one that was under way; its entries have the same ids."""
    found = drill("small-streamed")
    assert found["killed"] == 3
    assert found["entries"] == found["size"] > 90
    assert 1 <= found["again"] <= 3
