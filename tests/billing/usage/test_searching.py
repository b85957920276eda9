"""Finding an event: what a person who debugs asks, in both editions of the list."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from billing.usage.cloudevents import decode
from billing.usage.queries import events as listing
from billing.usage.services.ingest import ingest
from tests.billing.house import House, call, make_house
from tests.billing.usage.reports import as_staff, define, event, report, word


def found(house: House, **query: object) -> list[str]:
    items = call(house.key, "GET", f"v1/events?{urlencode(query)}")
    return [one["event"]["id"] for one in items]


def now(ago: int = 0) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=ago)


@pytest.fixture
def three(house) -> dict[str, dict[str, Any]]:
    """Events that differ in everything, the oldest first."""
    made = {
        "api": event("call", at=now(3), id="call-1", source="Edge", subject="anna"),
        "job": event("job", at=now(2), id="job_1", source="worker", subject="ben"),
        "odd": event("job", at=now(1), id="odd", source="edge-2", data={"note": "50% Über"}),
    }
    report(house.id, *made.values())
    return made


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["odd", "job_1", "call-1"]),
        ({"id": "CALL"}, ["call-1"]),
        ({"id": "_1"}, ["job_1"]),
        ({"source": "edge"}, ["odd", "call-1"]),
        ({"type": "job"}, ["odd", "job_1"]),
        ({"type": "jo"}, []),
        ({"subject": "ANN"}, ["call-1"]),
        ({"q": "ben"}, ["job_1"]),
        ({"q": "50% Ü"}, ["odd"]),
        ({"q": '"note"'}, ["odd"]),
        ({"q": "5_%"}, []),
        ({"type": "job", "source": "edge", "q": "note"}, ["odd"]),
        ({"type": "job", "limit": 1}, ["odd"]),
    ],
    ids=str,
)
def test_search__filter__finds_what_it_says(house, three, query, names):
    assert found(house, **query) == names


def test_search__has_error__parts_what_counts_from_what_does_not(house):
    meter = define(house.id)
    good, bad, void = (event(meter.slug, value, at=now(9)) for value in (1, "none", 2))
    ahead = event(meter.slug, at=now(-3600))
    report(house.id, good, bad, void, ahead)
    reason = {"source": void["source"], "id": void["id"], "reason": "twice"}
    call(house.key, "POST", "v1/events/void", reason, 204)

    assert set(found(house, hasError="true")) == {bad["id"], void["id"], ahead["id"]}
    assert found(house, hasError="false") == [good["id"]]
    assert found(house, hasError="true", q="none") == [bad["id"]]


def test_search__whole_id__is_found_at_any_age_whoever_reported_it(house):
    old = event(word(), at=now() - timedelta(days=40), id=word())
    report(house.id, old)
    operators = event(word(), at=now() - timedelta(days=30), id=word(), subject=house.slug)
    with as_staff():
        report_as_operator(operators)

    assert found(house, id=old["id"]) == [old["id"]]
    assert found(house, id=operators["id"]) == [operators["id"]]
    assert found(house, id=old["id"][:-1]) == []
    assert found(house, id=old["id"], **{"from": now(60).isoformat()}) == []
    assert found(house, id=old["id"], type="other") == []


def report_as_operator(sent: dict[str, Any]) -> None:
    """Report as the operator does, the tenant found by the subject."""
    decoded = decode(json.dumps([sent]).encode(), "application/json")
    ingest(decoded, tenant_id=None, by_operator=True)


def test_search__whole_id__of_another_tenant_is_not_found(house):
    other = make_house("enterprise")
    foreign = event(word(), at=now(5), id=word())
    report(other.id, foreign)

    assert found(house, id=foreign["id"]) == []
    assert found(other, id=foreign["id"]) == [foreign["id"]]


def test_search__whole_id_among_parts_of_others__is_there_and_once(house):
    whole = word()
    events = [event(word(), at=now(n), id=f"{whole}-{n}") for n in range(4)]
    report(house.id, *events, event(word(), at=now(99), id=whole))

    assert found(house, id=whole) == [f"{whole}-{n}" for n in range(4)] + [whole]
    assert found(house, id=whole, limit=3) == [f"{whole}-{n}" for n in range(2)] + [whole]


def headers(house: House, **query: object) -> tuple[list[str], str | None]:
    path = f"/api/v1/events?{urlencode(query)}"
    response = Client().get(path, headers={"Authorization": f"Bearer {house.key}"})
    ids = [one["event"]["id"] for one in response.json()]
    return ids, response.headers.get("Innkeeper-Looked-To")


def test_search__more_events_than_it_looks_at__says_how_far_it_came(house, monkeypatch):
    kind = word()
    sent = [event(kind, at=now(n), id=f"{kind}-{n}", subject=f"s{n}") for n in range(6)]
    report(house.id, *sent)
    monkeypatch.setattr(listing, "LOOKED_AT", 4)

    first, looked_to = headers(house, subject="s5")
    rest, no_more = headers(house, subject="s5", to=looked_to)

    assert first == []
    assert datetime.fromisoformat(looked_to) == datetime.fromisoformat(sent[3]["time"])
    assert (rest, no_more) == ([f"{kind}-5"], None)
    assert headers(house, subject="s2", limit=1) == ([f"{kind}-2"], None)
    assert headers(house)[1] is None


def test_search__second_edition__goes_on_by_its_cursor(house, monkeypatch):
    kind = word()
    report(house.id, *[event(kind, at=now(n), id=f"{kind}-{n}") for n in range(6)])
    monkeypatch.setattr(listing, "LOOKED_AT", 4)
    wanted = {"filter": json.dumps({"id": {"$like": "%-5"}})}

    first = call(house.key, "GET", f"v2/events?{urlencode(wanted)}")
    wanted["cursor"] = first["nextCursor"]
    second = call(house.key, "GET", f"v2/events?{urlencode(wanted)}")

    assert first["items"] == []
    assert [one["event"]["id"] for one in second["items"]] == [f"{kind}-5"]
    assert "nextCursor" not in second


@pytest.mark.parametrize("query", ["q=" + "x" * 257, "hasError=perhaps", "id=" + "x" * 257])
def test_search__malformed_filter__is_named(house, query):
    body = call(house.key, "GET", f"v1/events?{query}", status=400)

    assert body["errors"][0]["pointer"] == f"/query/{query.partition('=')[0]}"
