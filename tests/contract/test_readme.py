"""The README's lines, executed as they stand."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.systems import ROOT, RunningSystem

pytestmark = pytest.mark.serial

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.M | re.S)
PREAMBLE = next(block for block in BLOCKS if block.startswith("export "))
CURLS = [block for block in BLOCKS if block.startswith("curl ")]


def test_readme__always__names_the_two_commands() -> None:
    commands = [line.partition("#")[0].strip() for line in BLOCKS[0].splitlines()]

    assert commands == ["make run", "make test"]


def test_readme__always__has_lines_to_paste() -> None:
    assert len(CURLS) >= 4


@pytest.mark.parametrize("line", CURLS, ids=lambda line: line.split()[2])
def test_readme_line__pasted_after_the_exports__works(
    line: str, whole_system: RunningSystem, tmp_path: Path
) -> None:
    (tmp_path / ".innkeeper").mkdir()
    shutil.copy(whole_system.home / "demo.json", tmp_path / ".innkeeper")
    script = PREAMBLE + line.replace("curl -s ", "curl -s --fail-with-body ")

    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("{")


def test_ci__always__runs_the_readmes_test_command_and_then_the_checks() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()

    assert [line for line in lines if line.startswith("make ")] == ["make test", "make check"]
