"""ADR 0009: the locks are pinned, hashed, agree with each other and name no registry."""

import re
import tomllib

import pytest

from tests.architecture.house import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.lock.txt"))


def pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", text, re.M))


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_lock__always__names_no_address(path) -> None:
    lines = [line for line in path.read_text().splitlines() if "://" in line or "--index" in line]

    assert lines == []


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_lock__always__pins_and_hashes_every_entry(path) -> None:
    entries = re.split(r"\n(?=[a-z0-9])", path.read_text())
    packages = [entry for entry in entries if not entry.startswith("#")]

    assert packages
    assert [entry.splitlines()[0] for entry in packages if "--hash=sha256:" not in entry] == []
    assert [entry.splitlines()[0] for entry in packages if "==" not in entry.splitlines()[0]] == []


def test_lock_of_development__beside_that_of_running__holds_the_same_versions() -> None:
    run, dev = pins("run.lock.txt"), pins("dev.lock.txt")

    assert {name: dev.get(name) for name in run} == run


def test_declared_dependencies__all__are_in_the_lock_of_running() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["embedded"]]
    names = {re.match(r"[A-Za-z0-9._-]+", text)[0].lower().replace("_", "-") for text in declared}

    assert names - set(pins("run.lock.txt")) == set()
