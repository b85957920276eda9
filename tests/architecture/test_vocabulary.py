"""Where things live is never a question: no catch-all files, a README in each app."""

import pytest

from tests.architecture.house import FOLDERS, ROOT, short, sources

CATCH_ALLS = {
    "utils",
    "util",
    "helpers",
    "helper",
    "managers",
    "common",
    "misc",
    "signals",
    "tools",
}
APPS = sorted(set(FOLDERS) - {"config"})


def test_files__everywhere__have_a_noun_for_a_name() -> None:
    found = [
        short(path)
        for _, path in sources()
        if CATCH_ALLS & {path.stem, *path.relative_to(ROOT).parent.parts}
    ]

    assert found == []


def test_files__everywhere__stay_short_enough_to_read() -> None:
    too_long = {
        short(path): lines
        for _, path in sources()
        if "migrations" not in path.parts and (lines := len(path.read_text().splitlines())) > 400
    }

    assert too_long == {}


@pytest.mark.parametrize("app", APPS)
def test_app__always__opens_with_a_readme(app: str) -> None:
    text = (FOLDERS[app] / "README.md").read_text()

    assert text.startswith("# ")
