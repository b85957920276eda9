"""Lists of entries: every filter, alone and with others, page by page."""

from itertools import combinations
from typing import Any
from uuid import UUID, uuid4

import pytest

from audit.api.rendering import EVERYTHING, page
from audit.models import Outcome
from audit.queries import events, filters
from audit.queries.filters import Filter
from audit.sealing.sealer import Sealer
from audit.services import Context, audited
from kernel import db
from kernel.ids import encode, new_id
from kernel.tenancy import across_tenants, tenant_context
from tests.audit.logs import say

THING = new_id()
"""An id that entries name as a plain UUID, and callers as the API shows it."""
TERMS = {
    "action": "sample.renamed",
    "actor": "usr_1",
    "target": encode("smp", THING),
    "target_type": "sample",
    "outcome": "denied",
    "request_id": "req_1",
    "q": "quetzal",
}


@pytest.fixture
def log(tenant_id: UUID, sealer: Sealer) -> list[dict[str, Any]]:
    """Entries of which each term fits every other, third, … one; as the list shows them."""
    with audited():
        for number in range(60):
            say(
                "quetzal" if number % 5 else "wren",
                action="sample.renamed" if number % 7 else "data.read",
                target_id=(str(THING), encode("smp", THING), "smp_9")[number % 3],
                target_type="sample" if number % 4 else "other",
                outcome=Outcome.DENIED if number % 2 else Outcome.SUCCESS,
                context=Context("user", f"usr_{number % 2}", request_id=f"req_{number % 3}"),
            )
    sealer.drain()
    return walked({})


def walked(
    query: dict[str, str], bound: Filter = EVERYTHING, limit: int = 100
) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        found = page({**query, "limit": str(limit), "cursor": cursor}, bound)
        assert len(found["items"]) <= limit
        items += found["items"]
        if found["next"] is None:
            return items
        cursor = found["next"]


def fits(item: dict[str, Any], name: str) -> bool:
    """Whether an item is what the term asks for, by what it shows of itself."""
    target = item["targets"][0]
    facts: dict[str, bool] = {
        "action": item["action"] == TERMS["action"],
        "actor": item["actor"]["id"] == TERMS["actor"],
        "target": target["id"] in (str(THING), TERMS["target"]),
        "target_type": target["type"] == "sample",
        "outcome": item["outcome"] == "denied",
        "request_id": item["context"]["request_id"] == "req_1",
        "q": "quetzal" in str(item["changes"]),
    }
    return facts[name]


def test_list__any_two_terms__give_what_fits_both_in_pages(log: list[dict[str, Any]]) -> None:
    assert len(log) == 60
    assert [one["id"] for one in log] == sorted((one["id"] for one in log), reverse=True)
    for names in [*combinations(TERMS, 1), *combinations(TERMS, 2)]:
        expected = [one for one in log if all(fits(one, name) for name in names)]
        found = walked({name: TERMS[name] for name in names}, limit=7)
        assert found == expected, names


def test_list__bound__narrows_what_is_asked_for(log: list[dict[str, Any]]) -> None:
    bound = filters.read({"outcome": "denied", "action": "sample.*"})
    for query in ({}, {"q": "quetzal"}, {"actor": "usr_0"}, {"action": "data.read"}):
        expected = [
            one
            for one in log
            if fits(one, "outcome")
            and one["action"].startswith("sample.")
            and ("q" not in query or fits(one, "q"))
            and query.get("actor", one["actor"]["id"]) == one["actor"]["id"]
            and query.get("action", one["action"]) == one["action"]
        ]
        assert walked(query, bound, limit=9) == expected


def test_list__times__bound_it_from_both_sides(log: list[dict[str, Any]]) -> None:
    newest, oldest = log[0]["occurred_at"], log[-1]["occurred_at"]
    before = oldest[:19] + "Z"
    assert walked({"from": before, "to": "2999-01-01T00:00:00Z"}) == log
    assert walked({"to": before}) == []
    assert walked({"from": "2999-01-01T00:00:00Z", "q": "quetzal"}) == []
    assert walked({"from": newest, "to": oldest, "action": "sample.renamed"}) == []


def test_list__of_the_operator__holds_all_tenants_and_one_if_named(
    log: list[dict[str, Any]],
) -> None:
    tenant = log[0]["tenant"]
    named = Filter((filters.Condition("e.tenant_id = {}::uuid", UUID(int=0)),))
    with db.use_alias("staff"), across_tenants():
        everything = page({"q": "quetzal", "request_id": "req_1", "limit": "100"})["items"]
        assert page({"actor": "usr_1", "q": "quetzal"}, named)["items"] == []
    mine = [one for one in everything if one["tenant"] == tenant]
    assert mine == [one for one in log if fits(one, "q") and fits(one, "request_id")]


def test_list__entry_by_id__is_the_tenants_own(log: list[dict[str, Any]]) -> None:
    newest = events.newest(Filter(), 1)[0]
    assert events.entry(newest.id) == newest
    with tenant_context(uuid4()):
        assert events.entry(newest.id) is None
        assert events.newest(Filter(), 1) == []


def test_list__many_terms__leave_no_statement_behind(log: list[dict[str, Any]]) -> None:
    """Each combination of terms would be one; the connection would keep them all."""
    count = "SELECT count(*) FROM pg_prepared_statements"
    walked({"outcome": "denied"})
    before = db.rows(count)
    for names in combinations(TERMS, 3):
        page({name: TERMS[name] for name in names})
    assert db.rows(count) == before
