"""The page of actions tells every registered action and nothing else."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_catalogue__page_in_the_docs__is_up_to_date() -> None:
    # A process of its own: the registry of this one holds the tests' actions too.
    done = subprocess.run(
        [sys.executable, "manage.py", "audit_actions", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
