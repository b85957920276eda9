"""A month of usage of many tenants, reported over HTTP by each tenant's own key."""

import http.client
import json
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bench.systems.innkeeper import Guest, Innkeeper
from bench.systems.server import HOST

Say = Callable[[str], None]
EVENT: Final = "bench.call"
DAYS: Final = 30
BATCH: Final = 1000
WRITERS: Final = 2
SUBJECTS, USERS = 10, 500
REGIONS: Final = ("eu", "us", "ap")
METERS: Final[tuple[dict[str, Any], ...]] = (
    {"slug": "bench_sum", "aggregation": "SUM", "valueProperty": "$.value"},
    {"slug": "bench_unique", "aggregation": "UNIQUE_COUNT", "valueProperty": "$.user"},
    {"slug": "bench_p95", "aggregation": "P95", "valueProperty": "$.value"},
)
PATIENCE_S: Final = 600.0


class NotLoadedError(RuntimeError):
    """The server refused a batch, or the meters were not counted in time."""


@dataclass(frozen=True, slots=True)
class Month:
    """The loaded tenants, the range of their events, and how fast they went in."""

    guests: list[Guest]
    start: datetime
    end: datetime
    events_per_second: float


def load(system: Innkeeper, tenants: int, events: int, say: Say) -> Month:
    """Define meters for all tenants, make the tenants, report their events in batches of 1,000.

    Raises:
        NotLoadedError: a batch was refused, or the meters were not ready in time.
    """
    for meter in METERS:
        definition = {**meter, "eventType": EVENT, "groupBy": {"region": "$.region"}}
        system.call("POST", "/api/v1/meters", definition)
    for meter in METERS:
        _until_ready(system, meter["slug"])
    guests = system.guests(tenants, "enterprise", {"daily": None, "burst": None})
    end = datetime.now(UTC)
    start = end - timedelta(days=DAYS)
    batches = max(events // BATCH, 1)
    say(f"{batches} batches of {BATCH} events for {tenants} tenants")
    began = time.monotonic()

    def write(part: int) -> None:
        connection = http.client.HTTPConnection(HOST, system.server.port, timeout=60)
        chance = random.Random(part)  # noqa: S311 - a repeatable choice
        for number in range(part, batches, WRITERS):
            _send(connection, guests[number % tenants], _batch(number, start, chance))
            if number % 100 == 0:
                say(f"{number * BATCH} events in {time.monotonic() - began:.0f} s")
        connection.close()

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    rate = batches * BATCH / (time.monotonic() - began)
    say(f"loaded at {rate:.0f} events a second")
    return Month(guests, start, end, round(rate))


def _until_ready(system: Innkeeper, slug: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while "countingBack" in system.call("GET", f"/api/v1/meters/{slug}")["annotations"]:
        if time.monotonic() > deadline:
            raise NotLoadedError(f"the meter {slug} was not counted in {PATIENCE_S:.0f} s")
        time.sleep(0.2)


def _batch(number: int, start: datetime, chance: random.Random) -> bytes:
    events = [
        {
            "specversion": "1.0",
            "id": f"{number}-{place}",
            "source": "bench",
            "type": EVENT,
            "subject": f"s{chance.randrange(SUBJECTS)}",
            "time": (start + timedelta(seconds=chance.random() * DAYS * 86_400)).isoformat(),
            "data": {
                "value": chance.randrange(1, 1000) / 10,
                "region": chance.choice(REGIONS),
                "user": f"u{chance.randrange(USERS)}",
            },
        }
        for place in range(BATCH)
    ]
    return json.dumps(events).encode()


def _send(connection: http.client.HTTPConnection, guest: Guest, body: bytes) -> None:
    headers = {
        "Authorization": f"Bearer {guest.key}",
        "Content-Type": "application/cloudevents-batch+json",
    }
    connection.request("POST", "/api/v1/events", body, headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != http.HTTPStatus.NO_CONTENT:
        raise NotLoadedError(f"{answer.status} {text[:300]!r}")
