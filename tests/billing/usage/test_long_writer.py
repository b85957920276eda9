"""A writer that commits late: whoever passed meanwhile comes by again and takes what it wrote.

The writer's transaction is open, with its events in it, while others commit and consumers pass.
Sequence numbers and clocks of its events lie before those of the others (E19 of the reference).
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db.utils import OperationalError
from psycopg.errors import LockNotAvailable

from billing.usage.cloudevents import decode
from billing.usage.queries.retention import Step
from billing.usage.queries.verification import differences
from billing.usage.services import archiving
from billing.usage.services.attributing import attribute_all
from billing.usage.services.ingest import columns
from kernel.gate.wire import conninfo
from tests.billing.house import call
from tests.billing.usage.reports import NOON, as_staff, define, event, report, total, word

OPERATOR = UUID(int=0)
QUOTA = "processed_units"
SLOTS = 8
_PATIENCE = "SET LOCAL lock_timeout = '500ms'"
_TAKE = (
    "SELECT billing_usage_ingest(%s, %s, NULL, %s::text[], %s::text[], %s::text[], %s::text[],"
    " %s::timestamptz[], %s::jsonb[], NULL, %s::uuid[])"
)


@contextmanager
def writer(tenant_id: UUID | None, *sent: dict[str, Any]) -> Iterator[psycopg.Connection]:
    """Open a transaction with events in it; whoever holds it commits."""
    events = decode(json.dumps(sent).encode(), "application/json")
    values = [None if value is None else value.decode() for value in columns(events)[:6]]
    hints = "{" + ",".join(["NULL"] * len(sent)) + "}"
    with psycopg.connect(conninfo("staff")) as link:
        link.execute(_PATIENCE)
        link.execute(_TAKE, [tenant_id or OPERATOR, tenant_id, *values, hints])
        yield link


@contextmanager
def writers(house: Any, *kinds: str, at: datetime) -> Iterator[list[psycopg.Connection]]:
    """Hold a transaction open for each slot, all with an event of the same series of each type."""
    facts: dict[str, Any] = {"at": at, "data": {"value": 1, "quantity": 1}}
    with ExitStack() as stack:
        yield [
            stack.enter_context(writer(house.id, *(event(kind, **facts) for kind in kinds)))
            for _ in range(SLOTS)
        ]


def ids(house: Any, **query: str) -> list[str]:
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return [one["event"]["id"] for one in call(house.key, "GET", f"v1/events?{text}")]


def test_roll_ups__late_commit__is_in_the_first_read_after_it(house):
    meter = define(house.id)
    late = event(meter.slug, 5)
    others = [event(meter.slug, 1) for _ in range(3)]

    with writer(house.id, late) as open_one:
        for other in others:
            report(house.id, other)
        before = total(house.id, meter)
        open_one.commit()

    assert (before, total(house.id, meter)) == (3, 8)
    with as_staff():
        assert [one for one in differences() if one.meter == meter.slug] == []


def test_roll_ups__eight_writers_open_in_one_series__none_waits_for_another(house):
    meter = define(house.id)

    with writers(house, meter.slug, QUOTA, at=datetime.now(UTC)) as open_ones:
        for one in open_ones:
            one.commit()

    assert total(house.id, meter) == SLOTS
    path = f"v1/customers/{house.slug}/entitlements/{QUOTA}/value"
    assert call(house.key, "GET", path)["usage"] == SLOTS


def test_roll_ups__ninth_writer_beside_eight_open__waits_for_a_slot(house):
    meter = define(house.id)
    ninth = event(meter.slug)

    with (
        writers(house, meter.slug, at=NOON),
        pytest.raises(LockNotAvailable),
        writer(house.id, ninth),
    ):
        pytest.fail("nobody was waited for")

    assert report(house.id, ninth) == 1


def test_listing__late_commit__is_listed_though_newer_ones_were_before(house):
    kind, now = word(), datetime.now(UTC)
    late, newer = event(kind, at=now - timedelta(seconds=2)), event(kind, at=now)

    with writer(house.id, late) as open_one:
        report(house.id, newer)
        before = ids(house, subject="alice")
        open_one.commit()

    assert before == [newer["id"]]
    assert ids(house, subject="alice") == [newer["id"], late["id"]]


def test_attribution__late_commit__is_given_away_by_the_next_pass(house):
    meter = define(house.id)
    subject = word()
    early, late = (event(meter.slug, amount, subject=subject) for amount in (1, 5))

    with writer(None, late) as open_one:
        with writer(None, early) as other:
            other.commit()
        with psycopg.connect(conninfo("owner")) as link:
            link.execute(
                "INSERT INTO billing_usage_attribution VALUES (%s, %s)", [subject, house.id]
            )
        attribute_all()
        before = total(house.id, meter)
        open_one.commit()
    attribute_all()

    assert (before, total(house.id, meter)) == (1, 6)


def test_attribution__writer_open_in_the_day__gives_way_and_the_next_pass_takes_it(house):
    kind, subject = word(), word()
    stray = event(kind, subject=subject)
    with writer(None, stray) as other:
        other.commit()
    with psycopg.connect(conninfo("owner")) as link:
        link.execute("INSERT INTO billing_usage_attribution VALUES (%s, %s)", [subject, house.id])

    with writer(house.id, event(kind)) as open_one:
        attribute_all()
        before = ids(house, subject=subject, **{"from": "2026-01-01T00:00:00Z"})
        open_one.commit()
    attribute_all()

    assert before == []
    assert ids(house, subject=subject, **{"from": "2026-01-01T00:00:00Z"}) == [stray["id"]]


def test_void__writer_open_in_the_day__asks_to_come_again_and_holds_nobody_up(house):
    kind = word()
    known = event(kind)
    report(house.id, known)
    body = {"source": known["source"], "id": known["id"], "reason": "test"}

    with writer(house.id, event(kind)) as open_one:
        answer = call(house.key, "POST", "v1/events/void", body, status=503)
        open_one.commit()
    call(house.key, "POST", "v1/events/void", body, status=204)

    assert answer["code"] == "unavailable"


def test_archive__writer_open_in_the_month__is_waited_for_and_nothing_goes(
    house, monkeypatch, settings, tmp_path
):
    settings.INNKEEPER_HOME = tmp_path
    month = date(2015, 7, 1)
    monkeypatch.setattr(archiving, "PATIENCE", "100ms")
    with psycopg.connect(conninfo("owner"), autocommit=True) as link:
        link.execute("SELECT billing_usage_make_month(%s)", [month])
    at = datetime(2015, 7, 9, tzinfo=UTC)
    step = Step(month, "billing_usage_event_201507", (house.id,), False)
    report(house.id, event(word(), at=at))

    with writer(house.id, event(word(), at=at)) as open_one:
        with pytest.raises(OperationalError, match="lock timeout"):
            archiving.archive(step)
        open_one.commit()
    [file] = archiving.archive(step)

    assert file.events == 2
