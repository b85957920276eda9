"""Every way in over HTTP: the same event counts the same, and once whichever way it comes again."""

import json
from typing import Any

import pytest
import requests

from kernel.gate.keys import TENANT, mint
from tests.billing.house import make_key
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


@pytest.mark.parametrize("body", [b"{", b'{"id": "x"}', b"[]", b""])
def test_single__body_is_no_event__is_told_only_to_who_may_report(address, house, body):
    def answer(key: str) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        found = requests.post(f"{address}/api/v1/events", data=body, headers=headers, timeout=20)
        code = found.json()["code"] if found.content else ""
        return found.status_code, code

    readers = make_key(house.id, permissions=("events:read",))

    assert answer(mint(TENANT).text) == (401, "invalid_key")
    assert answer(readers) == (403, "insufficient_permissions")
    status, code = answer(house.key)
    assert (status, code) == ((204, "") if body == b"[]" else (400, "invalid_event"))
