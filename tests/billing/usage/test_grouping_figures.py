"""What a group counts is what its events alone would have."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from billing.usage.services.grouping import Single, take_together
from kernel import db
from kernel.gate.wire import HotConnection
from tests.billing.entitlements.quotas import limit, value
from tests.billing.usage.door import known_house, ledger, news, read
from tests.billing.usage.reports import as_staff, define, event, report, rollups, word

SQL = Path(__file__).resolve().parents[3] / "billing" / "usage" / "sql"


@pytest.mark.parametrize("aggregation", ["MAX", "LATEST", "COUNT", "UNIQUE_COUNT"])
def test_group__leaves_the_same_figures_as_singles(house, queue, aggregation):
    groups = {"group_by": {"who": "$.who"}}
    grouped, single = (define(house.id, aggregation, **groups) for _ in range(2))
    sent = [
        {"value": number, "who": who}
        for number, who in ((5, "a"), ("7.25", "b"), (-3, "a"), (None, "a"), ("x", "b"), (2, "b"))
    ]
    queue.start(house)

    futures = [queue.add(house.key, event(grouped.slug, data=data)) for data in sent]
    queue.go()
    assert all(news(futures))
    for data in sent:
        report(house.id, event(single.slug, data=data))

    assert rollups(grouped) == rollups(single)
    assert values(grouped) == values(single)


def values(meter: Any) -> list[tuple[Any, ...]]:
    with as_staff():
        return db.rows(
            "SELECT tenant_id, bucket, subject, groups, value FROM billing_usage_value"
            " WHERE meter_id = $1 ORDER BY 1, 2, 3, 4, 5",
            [meter.id],
        )


def test_group__draws_from_every_tenants_own_quota(queue):
    houses = [known_house("basic") for _ in range(2)]
    for house in houses:
        limit(house, 100)
    queue.start(houses[0])

    futures = [queue.add(house.key, quantity(7 + place)) for place, house in enumerate(houses)]
    queue.go()

    assert all(news(futures))
    assert [value(house)["usage"] for house in houses] == [7, 8]


def quantity(number: int) -> dict[str, Any]:
    return event("processed_units", at=datetime.now(UTC), data={"quantity": number})


def test_operators_events__together__find_tenants_by_subject_or_none(house):
    connection = HotConnection("staff")
    strange = word()
    sent = [event(word(), subject=s) for s in (house.slug, house.public_id, strange)]
    facts = {"tenant_id": None, "by_operator": True, "key_id": None, "connection": connection}
    singles = [Single(read(one), facts) for one in sent]

    take_together(singles)
    take_together([Single(read(sent[0]), facts)])

    assert [single.new for single in singles] == [True] * 3
    rows = {row[0]: row for row in ledger(*(one["id"] for one in sent))}
    assert [rows[one["id"]][1] for one in sent] == [house.id, house.id, None]
    assert len({row[4] for row in rows.values()}) == 1
    connection.close()


@pytest.mark.parametrize(
    ("first", "last"),
    [("measured AS MATERIALIZED (", "FROM event JOIN"), ("counted AS (", "-- {{merge}}")],
    ids=["what an event measures", "what a roll-up takes"],
)
def test_sql__of_groups_and_of_batches__is_one_text(first, last):
    """Two functions write figures, since a group needs a plan of its own: they may not drift."""
    texts = set()
    for file in ("take.sql", "singles.sql"):
        _, began, rest = (SQL / file).read_text(encoding="utf-8").partition(first)
        passage, ended, _ = rest.partition(last)
        assert (began, ended) == (first, last)
        texts.add(passage)
    assert len(texts) == 1
