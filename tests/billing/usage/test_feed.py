"""Following events: every one once, whoever commits late, restarts, or changes hands."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from billing.usage.services.attributing import attribute_all
from kernel import db
from kernel.gate.wire import conninfo
from tests.billing.house import call, make_house, make_key
from tests.billing.usage.reports import event, report, word
from tests.billing.usage.test_long_writer import writer


def ask(key: str, **query: Any) -> dict[str, Any]:
    text = "&".join(f"{name}={value}" for name, value in query.items() if value is not None)
    return call(key, "GET", f"v1/events/feed?{text}")


def follow(key: str, after: str | None = None, **query: Any) -> tuple[list[str], str]:
    """Read to the end; give the ids, and the place."""
    found: list[str] = []
    while True:
        page = ask(key, after=after, **query)
        after = page["next"]
        if not page["items"]:
            return found, after
        found += [one["event"]["id"] for one in page["items"]]


def ids(*events: dict[str, Any]) -> list[str]:
    return [one["id"] for one in events]


def place(text: str) -> list[Any]:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def written(fields: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b"=").decode()


def test_feed__pages_smaller_than_a_batch__every_event_once_in_order(house):
    batch = [event(word(), at=datetime.now(UTC)) for _ in range(5)]
    report(house.id, *batch)
    single = event(word())
    report(house.id, single)

    found, behind = follow(house.key, limit=2)

    assert found == ids(*batch, single)
    assert follow(house.key, behind)[0] == []


def test_feed__item__is_as_listed_with_its_reason(house):
    report(house.id, event(word(), at=datetime(2090, 1, 1, tzinfo=UTC)))

    [item] = ask(house.key)["items"]

    [listed] = call(house.key, "GET", "v1/events?from=2089-01-01T00:00:00Z")
    assert item == listed
    assert item["validationError"] == "invalid event: time is in the future"


def test_feed__writer_stays_open__others_pass_it_and_it_comes_when_it_commits(house):
    _, behind = follow(house.key)
    late, during, after = (event(word()) for _ in range(3))

    with writer(house.id, late) as open_one:
        report(house.id, during)
        passed, behind = follow(house.key, behind)
        report(house.id, after)
        passed_too, behind = follow(house.key, behind)
        open_one.commit()
    last, behind = follow(house.key, behind)

    assert (passed, passed_too, last) == (ids(during), ids(after), ids(late))
    assert follow(house.key, behind)[0] == []


def test_feed__writer_commits_between_two_pages_of_a_round__comes_in_the_next_round(house):
    late = [event(word()) for _ in range(3)]
    others = [event(word()) for _ in range(3)]

    with writer(house.id, *late) as open_one:
        report(house.id, *others)
        page = ask(house.key, limit=2)
        open_one.commit()
    rest, _ = follow(house.key, page["next"], limit=2)

    first = [one["event"]["id"] for one in page["items"]]
    assert first + rest == ids(*others, *late)


def test_feed__writer_rolls_back__nothing_of_it_comes(house):
    with writer(house.id, event(word())) as open_one:
        _, behind = follow(house.key)
        open_one.rollback()

    assert follow(house.key, behind)[0] == []


def test_feed__after_now__only_what_is_committed_later(house):
    before, later = event(word()), event(word())
    with writer(house.id, later) as open_one:
        report(house.id, before)
        behind = ask(house.key, after="now")["next"]
        open_one.commit()

    assert follow(house.key, behind)[0] == ids(later)


def test_feed__event_finds_its_tenant_later__comes_then(house):
    subject = word()
    stray = event(word(), subject=subject, at=datetime.now(UTC))
    with writer(None, stray) as open_one:
        open_one.commit()
    _, behind = follow(house.key)
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute("INSERT INTO billing_usage_attribution VALUES (%s, %s)", [subject, house.id])

    attribute_all()

    assert follow(house.key, behind)[0] == ids(stray)


def test_feed__another_tenants_place__shows_ones_own_events_only(house):
    other = make_house("enterprise")
    _, behind = follow(other.key)
    mine, theirs = event(word()), event(word())
    report(house.id, mine)
    report(other.id, theirs)

    assert follow(house.key, behind)[0] == ids(mine)


def test_feed__platform_key__follows_the_tenant_it_names(house):
    report(house.id, sent := event(word()))

    found = call(make_key(), "GET", "v1/events/feed", **{"Innkeeper-Tenant": house.public_id})

    assert [one["event"]["id"] for one in found["items"]] == [sent["id"]]


@pytest.mark.parametrize(
    "text",
    ["x", "e30", "bm8", "ÿ", written(["c", "9:5:", "", 0, 0]),
     written(["c", "1:1:", "1:5:7", 0, 0]), written(["c", "1:1:", "", -1, 0]),
     written(["c", "1:1:", "", 0, 2**70]),
     written(["c", "5:9:7,6", "", 0, 0]), written(["c", f"1:{2**63}:", "", 0, 0])],
)  # fmt: skip
def test_feed__place_that_is_none__400_names_it(house, text):
    answer = call(house.key, "GET", f"v1/events/feed?after={text}", status=400)

    assert answer["errors"][0]["pointer"] == "/query/after"


@pytest.mark.parametrize("change", [{0: "7.1"}, {1: f"1:{2**62}:"}], ids=["cluster", "future"])
def test_feed__place_of_another_database__410_says_begin_anew(house, change):
    fields = place(follow(house.key)[1])
    for part, value in change.items():
        fields[part] = value

    answer = call(house.key, "GET", f"v1/events/feed?after={written(fields)}", status=410)

    assert answer["code"] == "feed_moved"


def test_feed__round__begins_with_what_it_counts_as_over_on_disk(house):
    with psycopg.connect(conninfo("staff"), autocommit=True) as link:
        link.execute("SET synchronous_commit = off")
        [(over,)] = link.execute("SELECT pg_current_xact_id()::text::bigint")
        [(written_to,)] = link.execute("SELECT pg_current_wal_insert_lsn()")

        _, behind = follow(house.key)

        [(on_disk,)] = link.execute("SELECT pg_current_wal_flush_lsn() >= %s::pg_lsn", [written_to])
    assert int(place(behind)[1].split(":")[1]) > over
    assert on_disk
