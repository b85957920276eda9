"""What the guides tell people to type is there: commands, targets and routes."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.urls import Resolver404, resolve

ROOT = Path(__file__).parents[2]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
ROUTE = re.compile(r"/(?:api/v[12]|livez|readyz|health|metrics|ofrep|scim)\b[^\s`\"'),;|?]*")
PARAMETER = re.compile(r"\{[^}]*\}")
BEGINNINGS = {"/api/v1", "/api/v2", "/api/v1/admin"}
"""Named in sentences about all routes below them."""
PAGES = [
    path
    for path in sorted(
        [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md")]
    )
    if ".venv" not in path.parts
]


def answers(route: str) -> bool:
    try:
        resolve(route)
    except Resolver404:
        return False
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_guide__commands_and_targets__exist(page):
    text = page.read_text()

    commands = set(re.findall(r"manage\.py (\w+)", text))
    targets = set(re.findall(r"`make ([a-z-]+)", text))

    assert (commands - set(get_commands()), targets - TARGETS) == (set(), set())


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_guide__routes__exist(page):
    named = {PARAMETER.sub("x", route).rstrip(".:") for route in ROUTE.findall(page.read_text())}
    whole = {route for route in named - BEGINNINGS if not set("…*{") & set(route)}

    assert sorted(route for route in whole if not answers(route)) == []


def test_guides__together__name_something_of_each_kind():
    text = "".join(page.read_text() for page in PAGES)

    assert len(set(re.findall(r"manage\.py (\w+)", text))) > 10
    assert len(set(ROUTE.findall(text))) > 30
