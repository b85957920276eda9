"""Every route has a case and a row of counts; neither table holds a route that is gone."""

from __future__ import annotations

from bench import budgets
from bench.latency.routes import Route
from tests.latency.registry import ROUTE_CASES
from tests.latency.table import COUNTS


def test_cases__url_map__each_route_and_method_has_one_and_none_is_stale(
    url_map: list[Route],
) -> None:
    known, cased = {str(route) for route in url_map}, set(ROUTE_CASES)
    assert (sorted(known - cased), sorted(cased - known)) == ([], [])


def test_counts__cases__each_has_a_row_and_none_is_stale() -> None:
    assert set(COUNTS) == set(ROUTE_CASES)


def test_cases__budgets__exist_and_set_a_percentile() -> None:
    for name, case in ROUTE_CASES.items():
        assert budgets.get(case.budget).gate.keys() & set(budgets.PERCENTILES), name
