"""The loader of docs/budgets.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import budgets


def test_get__entry_that_names_a_class__takes_over_its_percentiles() -> None:
    gate = budgets.get("keys.routes").gate
    assert gate == budgets.route_class("std").gate
    assert (gate["p50"], gate["p95"], gate["p99"]) == (10.0, 15.0, 20.0)


def test_get__entry_with_own_figures__keeps_them() -> None:
    assert budgets.get("auth.key_verify").goal == {"p50": 1.0, "p95": 2.0, "p99": 3.0}


def test_get__unknown_id__raises() -> None:
    with pytest.raises(budgets.UnknownBudgetError, match=r"auth\.nothing"):
        budgets.get("auth.nothing")


def test_load__duplicate_id__is_refused(tmp_path: Path) -> None:
    file = tmp_path / "budgets.toml"
    file.write_text('[[a]]\nid = "x"\nkind = "http"\n[[b]]\nid = "x"\nkind = "http"\n')
    with pytest.raises(ValueError, match="two budgets are called x"):
        budgets.load(file)


def test_load__unknown_class__is_refused(tmp_path: Path) -> None:
    file = tmp_path / "budgets.toml"
    file.write_text('[[a]]\nid = "x"\nkind = "http"\nclass = "swift"\n')
    with pytest.raises(ValueError, match="unknown class swift"):
        budgets.load(file)


def test_limits__of_the_three_percentiles__never_fall_with_the_percentile() -> None:
    for budget in budgets.load().values():
        for figures in (budget.gate, budget.goal):
            ordered = [figures[name] for name in budgets.PERCENTILES if name in figures]
            assert ordered == sorted(ordered), budget.id
