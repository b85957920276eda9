"""The catalogue of problem codes, read from problems.toml: pages show it, tests check it."""

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """What a code means, and the remedy. ``status`` is the HTTP status it comes with."""

    status: int
    meaning: str
    remedy: str


PAGES: dict[str, Problem] = {
    code: Problem(**facts)
    for code, facts in tomllib.loads(
        Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    ).items()
}
