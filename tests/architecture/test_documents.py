"""Documents keep their promises: numbers, titles and links."""

import re
from pathlib import Path

import pytest

from tests.architecture.house import ROOT

ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))
SKIPPED = {".venv", ".innkeeper", "node_modules", ".git", "dist", "results"}
PAGES = sorted(
    path for path in ROOT.rglob("*.md") if not SKIPPED & set(path.relative_to(ROOT).parts)
)


def test_adrs__all__have_a_number_of_their_own() -> None:
    numbers = [path.name[:4] for path in ADRS]

    assert [number for number in numbers if not number.isdigit()] == []
    assert sorted(set(numbers)) == numbers


@pytest.mark.parametrize("path", ADRS, ids=lambda path: path.name[:4])
def test_adr__always__carries_its_decision_in_name_and_title(path: Path) -> None:
    title = path.read_text().splitlines()[0]

    assert re.fullmatch(r"\d{4}(-[a-z0-9]+){3,}\.md", path.name)
    assert re.fullmatch(r"# \S+( \S+){3,}", title)


@pytest.mark.parametrize("path", ADRS, ids=lambda path: path.name[:4])
def test_adr__always__has_tags_and_a_reason(path: Path) -> None:
    lines = path.read_text().splitlines()

    assert lines[2].startswith("Tags: ")
    assert len([line for line in lines[4:] if line]) >= 4


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_page__with_relative_links__points_at_files_that_exist(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text())
    local = [target for target in targets if "://" not in target and not target.startswith("/")]

    assert [target for target in local if not (path.parent / target).exists()] == []


def test_settings__in_the_example__stand_there_once_and_are_read() -> None:
    shown = re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M)
    code = "".join(path.read_text() for path in (ROOT / "platform").rglob("*.py"))

    assert sorted(shown) == sorted(set(shown))
    assert [name for name in shown if f'"{name}"' not in code] == []


def test_settings__of_the_environment__are_all_in_the_example() -> None:
    code = (ROOT / "platform" / "config" / "env.py").read_text()
    shown = (ROOT / ".env.example").read_text()

    read = re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', code)

    assert len(read) >= 20
    assert [name for name in read if f"#{name}=" not in shown] == []
