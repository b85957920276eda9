"""The limits of docs/budgets.toml: the only place where tests and benchmarks read a figure from."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

BUDGETS_FILE = Path(__file__).resolve().parent.parent / "docs" / "budgets.toml"
PERCENTILES = ("p50", "p95", "p99")


class UnknownBudgetError(KeyError):
    """No budget has this id."""


@dataclass(frozen=True, slots=True)
class Budget:
    """One entry: its gate and goal in milliseconds, and every further key in `extra`."""

    id: str
    kind: str
    gate: dict[str, float]
    goal: dict[str, float]
    extra: dict[str, Any] = field(default_factory=dict)

    def limit(self, name: str) -> float | None:
        """The gate for `mean`, `max` or a percentile such as `p99`, or None where none is set."""
        return self.gate.get(name)


@lru_cache(maxsize=4)
def load(path: Path = BUDGETS_FILE) -> dict[str, Budget]:
    """Every budget by its id; an entry that names a class takes over the class's percentiles.

    Raises:
        ValueError: two entries share an id, or an entry names a class that does not exist.
    """
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    entries = [entry for area in document.values() if isinstance(area, list) for entry in area]
    by_id: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry["id"] in by_id:
            raise ValueError(f"{path.name}: two budgets are called {entry['id']}")
        by_id[entry["id"]] = entry
    return {name: _budget(entry, by_id) for name, entry in by_id.items()}


@lru_cache(maxsize=4)
def meta(name: str, path: Path = BUDGETS_FILE) -> float:
    """A figure of the file's `[meta]`: facts of the reference machine."""
    return float(tomllib.loads(path.read_text(encoding="utf-8"))["meta"][name])


def get(budget_id: str) -> Budget:
    """The budget with this id.

    Raises:
        UnknownBudgetError: there is none.
    """
    try:
        return load()[budget_id]
    except KeyError:
        raise UnknownBudgetError(budget_id) from None


def route_class(name: str) -> Budget:
    """The percentiles of a route class such as `std`, `hot` or `health`."""
    return get(f"class.{name}")


def _budget(entry: dict[str, Any], by_id: dict[str, dict[str, Any]]) -> Budget:
    inherited: dict[str, Any] = {}
    if "class" in entry:
        class_id = f"class.{entry['class']}"
        if class_id not in by_id:
            raise ValueError(f"{entry['id']} names the unknown class {entry['class']}")
        inherited = by_id[class_id]
    names = (*PERCENTILES, "mean", "max")
    gate = {name: inherited[name] for name in names if name in inherited}
    gate |= {name: entry[name] for name in names if name in entry}
    return Budget(
        id=entry["id"],
        kind=entry["kind"],
        gate=gate,
        goal=entry.get("goal", inherited.get("goal", {})),
        extra={
            key: value for key, value in entry.items() if key not in {"id", "kind", "goal", *names}
        },
    )
