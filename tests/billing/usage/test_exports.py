"""Usage as a file: complete, of one moment, streamed, recorded, nobody else's."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.http import StreamingHttpResponse
from django.test import Client

from billing.usage.queries import streaming
from billing.usage.queries.streaming import AT_ONCE, BATCH, Rows
from kernel.errors import Unavailable
from tests.billing.house import House, call, make_house, make_key
from tests.billing.usage.reports import NOON, define, event, report, word
from tests.billing.usage.test_long_writer import writer

EVENTS = "v1/events/export"


def opened(key: str, path: str, **headers: str) -> StreamingHttpResponse:
    response = Client().get(f"/api/{path}", headers={"Authorization": f"Bearer {key}", **headers})
    assert (response.status_code, response.streaming) == (200, True), response.content
    return response


def content(response: StreamingHttpResponse) -> bytes:
    return b"".join(response.streaming_content)


def lines(key: str, path: str, **headers: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content(opened(key, path, **headers)).splitlines()]


def table(key: str, path: str) -> list[list[str]]:
    response = opened(key, path)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(content(response).decode(), newline="")))


def many(type_: str, number: int, **facts: Any) -> list[dict[str, Any]]:
    return [event(type_, n, at=NOON + timedelta(seconds=n), **facts) for n in range(number)]


def entries(house: House, action: str) -> list[dict[str, Any]]:
    items = call(house.key, "GET", f"v1/audit/events?action={action}")["items"]
    return [{"target": one["targets"][0], **one["context"]["metadata"]} for one in items]


def test_export__events_of_many_batches__are_all_there_once_in_order(house):
    kind, number = word(), 3 * BATCH + 7
    sent = many(kind, number)
    report(house.id, *reversed(sent))

    manifest, *found, end = lines(house.key, f"{EVENTS}?type={kind}")

    assert manifest == {"manifest": 1, "export": "usage.events_exported", "filters": ["type"]}
    assert [one["event"]["id"] for one in found] == [one["id"] for one in sent]
    assert found[5]["event"]["data"] == {"value": 5}
    assert end == {"end": 1, "rows": number}


@pytest.mark.parametrize("number", [0, 1, BATCH, BATCH + 1])
def test_export__number_of_rows__is_no_matter(house, number):
    kind = word()
    if number:
        report(house.id, *many(kind, number))

    _, *found, end = lines(house.key, f"{EVENTS}?type={kind}")

    assert (len(found), end["rows"]) == (number, number)


def test_export__figures__are_those_of_the_query(house):
    meter = define(house.id, group_by={"model": "$.model"})
    data = [{"value": n / 4, "model": f"m{n % 3}"} for n in range(60)]
    report(
        house.id,
        *(event(meter.slug, at=NOON + timedelta(hours=n), data=one) for n, one in enumerate(data)),
    )
    query = "windowSize=DAY&windowTimeZone=Asia/Kathmandu&groupBy=model&groupBy=subject"

    manifest, *found, end = lines(house.key, f"v1/usage/export?meter={meter.slug}&{query}")
    head, *rows = table(house.key, f"v1/usage/export?meter={meter.slug}&{query}&format=csv")

    asked = call(house.key, "GET", f"v1/meters/{meter.slug}/query?{query}")["data"]
    assert (manifest["meter"], manifest["windowTimeZone"]) == (meter.slug, "Asia/Kathmandu")
    assert found == asked
    assert end["rows"] == len(asked) == len(rows) > 6
    assert head == ["window_start", "window_end", "model", "subject", "value"]
    assert rows[0] == [
        asked[0]["windowStart"], asked[0]["windowEnd"], asked[0]["groupBy"]["model"], "alice",
        asked[0]["valueDecimal"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "aggregation", ["COUNT", "UNIQUE_COUNT", "MEDIAN", "P95", "WEIGHTED_SUM", "LATEST"]
)
@pytest.mark.parametrize("window", ["", "&windowSize=HOUR", "&windowSize=MONTH"])
def test_export__each_aggregation__is_as_its_query(house, aggregation, window):
    meter = define(house.id, aggregation)
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    sent = (event(meter.slug, n, at=start + timedelta(minutes=n)) for n in range(5))
    report(house.id, *sent)
    query = f"from={start:%Y-%m-%dT%H:%M:%SZ}&to={start + timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}"

    _, *found, _ = lines(house.key, f"v1/usage/export?meter={meter.slug}&{query}{window}")

    assert found == call(house.key, "GET", f"v1/meters/{meter.slug}/query?{query}{window}")["data"]
    assert found


def test_export__requests__are_the_gates_record(house):
    _, found, _ = lines(house.key, "v1/usage/export?meter=api_requests&windowSize=MONTH")

    assert found["value"] == 1


def test_export__written_while_it_is_read__is_of_the_moment_it_began(house):
    kind, number = word(), 2 * BATCH + 1
    sent = many(kind, number)
    report(house.id, *sent)
    late = event(kind, at=NOON + timedelta(days=1))
    earlier = event(kind, at=NOON - timedelta(days=1))

    with writer(house.id, late) as open_one:
        response = opened(house.key, f"{EVENTS}?type={kind}")
        pieces = iter(response.streaming_content)
        read = [next(pieces), next(pieces)]
        open_one.commit()
        report(house.id, earlier)
        call(house.key, "POST", "v1/events/void", _void(sent[-1]), 204)
        read += pieces
    _, *found, end = [json.loads(line) for line in b"".join(read).splitlines()]
    _, *after, _ = lines(house.key, f"{EVENTS}?type={kind}")

    assert [one["event"]["id"] for one in found] == [one["id"] for one in sent]
    assert end["rows"] == number
    assert "validationError" not in found[-1]
    assert [after[0], after[-1]] != [found[0], found[-1]]
    assert len(after) == number + 2


def _void(sent: dict[str, Any]) -> dict[str, Any]:
    return {"source": sent["source"], "id": sent["id"], "reason": "test"}


def test_export__csv__is_harmless_in_a_spreadsheet_and_keeps_its_figures(house):
    meter = define(house.id)
    kind = meter.slug
    report(house.id, event(kind, -2, id="=1+1", source="@x", subject="-s"))

    head, row = table(house.key, f"{EVENTS}?type={kind}&format=csv")
    _, figure = table(house.key, f"v1/usage/export?meter={kind}&groupBy=subject&format=csv")

    assert head[:4] == ["id", "source", "type", "subject"]
    assert row[:5] == ["'=1+1", "'@x", kind, "'-s", "2026-03-01T12:00:00Z"]
    assert json.loads(row[-1]) == {"value": -2}
    assert figure[2:] == ["'-s", "-2"]


def test_export__made__is_an_entry_with_what_was_asked(house):
    meter = define(house.id)
    content(opened(house.key, f"v1/usage/export?meter={meter.slug}&windowSize=DAY&format=csv"))
    content(opened(house.key, f"{EVENTS}?subject=alice&from=2026-01-01T00:00:00Z"))

    [figures], [events] = (
        entries(house, f"usage.{name}") for name in ("exported", "events_exported")
    )

    assert (figures["form"], figures["windowSize"], figures["meter"]) == ("csv", "DAY", meter.slug)
    assert figures["target"]["type"] == "meter"
    assert (events["form"], events["filters"]) == ("ndjson", ["subject"])
    assert "alice" not in json.dumps(events)
    assert events["target"]["id"] == house.public_id


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("v1/usage/export", "/query/meter"),
        ("v1/usage/export?meter=api_requests&format=xml", "/query/format"),
        ("v1/usage/export?meter=api_requests&windowSize=WEEK", "/windowSize"),
        (f"{EVENTS}?format=parquet", "/query/format"),
        (f"{EVENTS}?from=yesterday", "/query/from"),
        (f"{EVENTS}?hasError=maybe", "/query/hasError"),
    ],
)
def test_export__malformed_question__is_a_problem_and_no_entry(house, path, pointer):
    body = call(house.key, "GET", path, status=400)

    assert body["errors"][0]["pointer"] == pointer
    assert entries(house, "usage.*") == []


def test_export__media_type_asked_for__is_accepted(house):
    for accept in ("text/csv", "application/x-ndjson", "*/*"):
        assert opened(house.key, EVENTS, Accept=accept)["Content-Type"] == "application/x-ndjson"


def test_export__of_another_tenant__holds_nothing_of_it(house):
    other = make_house("enterprise")
    meter = define(other.id)
    report(other.id, event(meter.slug))

    assert lines(house.key, f"{EVENTS}?type={meter.slug}")[-1]["rows"] == 0
    call(house.key, "GET", f"v1/usage/export?meter={meter.slug}", status=404)
    call(house.key, "GET", f"{EVENTS}?customerId={other.public_id}", status=404)


def test_export__keys__need_the_permission_and_the_operators_name_a_tenant(house, platform_key):
    report(house.id, event(kind := word()))
    few = make_key(house.id, ("meters:read",))
    paths = (EVENTS, "v1/usage/export?meter=api_requests")

    for path in paths:
        call(few, "GET", path, status=403)
        call(platform_key, "GET", path, status=400)
    named = {"Innkeeper-Tenant": house.public_id}

    assert lines(platform_key, f"{EVENTS}?type={kind}", **named)[-1]["rows"] == 1


def sessions() -> int:
    """Count the snapshots that exports of this process' database hold."""
    with psycopg.connect(streaming.conninfo("default")) as link:
        row = link.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'innkeeper-export'"
            " AND datname = current_database() AND xact_start IS NOT NULL"
        ).fetchone()
        return row[0]


def test_export__reader_that_goes_away__leaves_no_snapshot(house):
    report(house.id, *many(kind := word(), 2 * BATCH))
    response = opened(house.key, f"{EVENTS}?type={kind}")
    next(iter(response.streaming_content))
    during = sessions()

    response.close()

    assert during == 1
    assert _comes_to(0)


def test_export__next_one__knows_nothing_of_the_tenant_before(house):
    report(house.id, *many(kind := word(), 3))
    other = make_house("enterprise")
    lines(house.key, f"{EVENTS}?type={kind}")
    [waiting] = streaming._idle

    seen = waiting.execute("SELECT count(*) FROM billing_usage_event").fetchone()

    assert seen == (0,)
    assert lines(other.key, EVENTS)[-1]["rows"] == 0
    assert list(streaming._idle) == [waiting]


def test_export__connection_that_died_while_it_waited__is_replaced(house):
    report(house.id, *many(kind := word(), 3))
    lines(house.key, EVENTS)
    _end_sessions()

    assert lines(house.key, f"{EVENTS}?type={kind}")[-1]["rows"] == 3


def _comes_to(number: int) -> bool:
    """Wait until so many snapshots are left: statistics are a moment behind."""
    end = datetime.now(UTC) + timedelta(seconds=10)
    while sessions() != number:
        if datetime.now(UTC) > end:
            return False
    return True


def _end_sessions() -> None:
    with psycopg.connect(streaming.conninfo("default"), autocommit=True) as link:
        link.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'innkeeper-export' AND datname = current_database()"
        )


def test_export__too_many_at_once__are_refused_and_let_in_again(house):
    report(house.id, *many(kind := word(), 2 * BATCH))
    path = f"{EVENTS}?type={kind}"
    held = [opened(house.key, path) for _ in range(AT_ONCE)]

    body = call(house.key, "GET", path, status=503)
    held.pop().close()

    assert body["code"] == "exports_busy"
    assert len(lines(house.key, path)) == 2 * BATCH + 2
    for response in held:
        response.close()


def test_rows__transaction_that_the_database_ends__fails_and_gives_no_end(house):
    report(house.id, *many(kind := word(), 2 * BATCH))
    response = opened(house.key, f"{EVENTS}?type={kind}")
    pieces = iter(response.streaming_content)
    read = [next(pieces), next(pieces)]
    _end_sessions()

    with pytest.raises(psycopg.OperationalError):
        read += pieces

    assert b'"end":1' not in b"".join(read)
    assert _comes_to(0)


def test_rows__database_that_cannot_be_reached__is_unavailable(house, monkeypatch):
    monkeypatch.setattr(streaming, "conninfo", lambda alias: "host=127.0.0.1 port=1 user=x")

    for _ in range(AT_ONCE + 1):
        with pytest.raises(Unavailable, match="does not answer"):
            Rows("SELECT 1", {}, house.id)
