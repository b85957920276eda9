"""NDJSON: each line for itself, with an outcome of its own."""

import json

import requests

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
