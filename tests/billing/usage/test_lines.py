"""NDJSON: each line for itself, with an outcome of its own."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import requests
from django.core.handlers.wsgi import WSGIHandler

from billing.usage.api.lines import AT_ONCE
from billing.usage.cloudevents import LONGEST_LINE
from config.lane import mount
from tests.billing.usage.reports import define, event, total


def post(address, house, body: bytes) -> requests.Response:
    headers = {"Authorization": f"Bearer {house.key}", "Content-Type": "application/x-ndjson"}
    return requests.post(f"{address}/api/v1/events", data=body, headers=headers, timeout=10)


def outcomes(answer: requests.Response) -> list[str]:
    return [json.loads(line)["outcome"] for line in answer.text.splitlines()]


def test_lines__sound_and_faulty__are_told_each(address, house):
    meter = define(house.id)
    good, other = event(meter.slug, 1), event(meter.slug, 2)
    lines = [
        json.dumps(good),
        "{",
        json.dumps(event(meter.slug, data=[1])),
        json.dumps(good),
        json.dumps(event(meter.slug, "a\0b")),
        "",
        json.dumps(other),
    ]

    answer = post(address, house, "\n".join(lines).encode())

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert outcomes(answer) == ["new", "invalid", "invalid", "repeat", "invalid", "new"]
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert told[0]["id"] == good["id"]
    assert told[2]["errors"][0]["message"] == "data must be a JSON object or null."
    assert told[4]["errors"][0]["code"] == "unstorable"
    assert total(house.id, meter) == 3


def test_lines__sent_again__are_all_repeats(address, house):
    meter = define(house.id)
    body = "\n".join(json.dumps(event(meter.slug, 1)) for _ in range(5)).encode()

    first, second = post(address, house, body), post(address, house, body)

    assert outcomes(first) == ["new"] * 5
    assert outcomes(second) == ["repeat"] * 5
    assert total(house.id, meter) == 5


def test_lines__nothing__is_no_error(address, house):
    assert outcomes(post(address, house, b"\n\n")) == []


class Body:
    """A body that is made while it is read; tells what the ledger held after each piece."""

    def __init__(self, lines: Iterator[bytes], seen: Callable[[], int]) -> None:
        self._lines, self._seen = lines, seen
        self._rest = b""
        self.held: list[int] = []

    def read(self, size: int) -> bytes:
        self.held.append(self._seen())
        while len(self._rest) < size and (line := next(self._lines, b"")):
            self._rest += line + b"\n"
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


def through_the_lane(house, body: Body) -> tuple[str, dict[str, str], Iterator[bytes]]:
    """Send a chunked body past Django's handler, as a server does."""
    said: list[Any] = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/v1/events",
        "CONTENT_TYPE": "application/x-ndjson",
        "HTTP_AUTHORIZATION": f"Bearer {house.key}",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.input": body,
    }
    pieces = mount(WSGIHandler())(environ, lambda *head: said.append(head))
    [(status, headers)] = said
    return status, dict(headers), iter(pieces)


def test_lines__long_body__is_taken_while_it_comes_and_answered_whole(house):
    meter = define(house.id)
    count = AT_ONCE * 2 + 500
    lines = (json.dumps(event(meter.slug, 1)).encode() for _ in range(count))
    body = Body(lines, lambda: int(total(house.id, meter) or 0))

    status, headers, pieces = through_the_lane(house, body)
    answer = b"".join(pieces)

    assert status == "200 OK"
    assert len(answer) == int(headers["Content-Length"])
    told = [json.loads(line) for line in answer.splitlines()]
    assert [line["line"] for line in told] == list(range(count))
    assert {line["outcome"] for line in told} == {"new"}
    assert total(house.id, meter) == count
    assert {0, AT_ONCE, AT_ONCE * 2} <= set(body.held)


def test_lines__longer_than_a_line_may_be__is_invalid_and_the_next_is_taken(house):
    meter = define(house.id)
    long = json.dumps(event(meter.slug, 1, data={"value": "x" * LONGEST_LINE * 2})).encode()
    lines = iter([long, json.dumps(event(meter.slug, 1)).encode()])

    _, _, pieces = through_the_lane(house, Body(lines, int))
    told = [json.loads(line) for line in b"".join(pieces).splitlines()]

    assert [line["outcome"] for line in told] == ["invalid", "new"]
    assert told[0]["errors"][0]["code"] == "too_long"


def test_lines__without_a_key__read_nothing_of_the_body(house):
    body = Body(iter([b"{}"]), int)

    status, _, pieces = through_the_lane(type(house)(house.id, "", "", "none"), body)

    assert (status, body.held) == ("401 Unauthorized", [])
    assert b"invalid_key" in b"".join(pieces)
