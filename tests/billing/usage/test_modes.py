"""Every way in over HTTP: the same event counts the same, and once whichever way it comes again."""

import json
from typing import Any

import pytest
import requests

from tests.billing.usage.reports import define, event, total


def structured(sent: dict[str, Any]) -> tuple[str, bytes, dict[str, str]]:
    return "application/cloudevents+json; charset=utf-8", json.dumps(sent).encode(), {}


def batch(sent: dict[str, Any]) -> tuple[str, bytes, dict[str, str]]:
    return "application/cloudevents-batch+json", json.dumps([sent]).encode(), {}


def plain_object(sent: dict[str, Any]) -> tuple[str, bytes, dict[str, str]]:
    return "application/json", json.dumps(sent).encode(), {}


def plain_array(sent: dict[str, Any]) -> tuple[str, bytes, dict[str, str]]:
    return "application/json", json.dumps([sent]).encode(), {}


def binary(sent: dict[str, Any]) -> tuple[str, bytes, dict[str, str]]:
    headers = {f"ce-{name}": value for name, value in sent.items() if name != "data"}
    return "application/json", json.dumps(sent["data"]).encode(), headers


def lines(sent: dict[str, Any]) -> tuple[str, bytes, dict[str, str]]:
    return "application/x-ndjson", json.dumps(sent).encode() + b"\n", {}


MODES = [structured, batch, plain_object, plain_array, binary, lines]


def post(address: str, key: str, mode: Any, sent: dict[str, Any]) -> int:
    content_type, body, headers = mode(sent)
    headers |= {"Authorization": f"Bearer {key}", "Content-Type": content_type}
    answer = requests.post(f"{address}/api/v1/events", data=body, headers=headers, timeout=20)
    return answer.status_code


@pytest.mark.parametrize("mode", MODES)
def test_mode__event__is_committed_and_counted_once_in_every_mode(address, house, mode):
    meter = define(house.id)
    sent = event(meter.slug, 7)

    status = post(address, house.key, mode, sent)
    again = {post(address, house.key, other, sent) for other in MODES}

    assert status == (200 if mode is lines else 204)
    assert again == {200, 204}
    assert total(house.id, meter) == 7
