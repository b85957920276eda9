"""platform/README.md says why."""

import platform
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.architecture.house import FOLDERS, ROOT


def test_platform_folder__always__holds_no_python_file_of_its_own() -> None:
    assert [path.name for path in (ROOT / "platform").glob("*.py*")] == []


def test_platform_module__here_and_from_the_root__is_the_standard_librarys() -> None:
    command = [sys.executable, "-c", "import platform; print(platform.__file__); platform.system()"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    for place in (said.stdout.strip(), platform.__file__):
        assert not Path(place).is_relative_to(ROOT / "platform")


def test_package_names__in_this_environment__belong_to_no_other_distribution() -> None:
    owners = packages_distributions()

    taken = {name: owners[name] for name in (*FOLDERS, "tests") if name in owners}

    assert {name: who for name, who in taken.items() if set(who) - {"innkeeper"}} == {}
