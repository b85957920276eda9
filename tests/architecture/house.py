"""The plan of the house that the tests of this folder compare the code with."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

FOLDERS = {
    "kernel": ROOT / "platform" / "kernel",
    "webhooks": ROOT / "platform" / "webhooks",
    "config": ROOT / "platform" / "config",
    "audit": ROOT / "audit",
    "tenants": ROOT / "tenants",
    "accounts": ROOT / "accounts",
    "billing": ROOT / "billing",
}
RANKS = {
    "kernel": 0,
    "audit": 1,
    "tenants": 2,
    "accounts": 3,
    "billing": 3,
    "webhooks": 3,
    "config": 4,
}


def may_know(package: str, other: str) -> bool:
    """Tell whether ``package`` may depend on ``other``: itself, or anything below."""
    return package == other or RANKS[other] < RANKS[package]


def sources(suffix: str = ".py") -> Iterator[tuple[str, Path]]:
    """Give every source file with the package it belongs to."""
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob(f"*{suffix}")):
            if "__pycache__" not in path.parts:
                yield package, path


def short(path: Path) -> str:
    """Name a file as a reader of the repository would."""
    return str(path.relative_to(ROOT))
