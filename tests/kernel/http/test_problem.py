"""Every way in which a request can fail ends in a problem document."""

import json

import pytest

from kernel.http.soundness import LARGEST_HEAD
from tests.kernel.http.toy import RAISED

EXPECTED = {
    "invalid": (400, "invalid"),
    "not_found": (404, "not_found"),
    "conflict": (409, "conflict"),
    "gone": (410, "gone"),
    "forbidden": (403, "forbidden"),
    "unavailable": (503, "unavailable"),
    "too_large": (413, "too_large"),
    "media": (415, "unsupported_media_type"),
    "rate": (429, "rate_limited"),
    "quota": (429, "quota_exceeded"),
    "denied": (403, "forbidden"),
    "suspicious": (400, "malformed_request"),
    "by_hand": (400, "malformed_request"),
    "database": (503, "unavailable"),
    "race": (409, "conflict"),
    "broken_rule": (500, "internal_error"),
    "throttled": (400, "invalid"),
    "bug": (500, "internal_error"),
}


def test_expectations__cover_everything_that_is_raised():
    assert set(EXPECTED) == set(RAISED)


@pytest.mark.parametrize("prefix", ["", "hot/"])
@pytest.mark.parametrize("what", sorted(EXPECTED))
def test_raised__anything__is_a_problem_document_without_secrets(client, prefix, what):
    answer = client.get(f"/{prefix}raise/{what}")
    status, code = EXPECTED[what]
    body = json.loads(answer.content)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"].endswith(f"/problems/{code}")
    assert body["request_id"] == answer.headers["X-Request-Id"]
    assert body["instance"].endswith(body["request_id"])
    assert b"secret reason" not in answer.content


def test_retry_after__on_unavailable_and_rate__whole_seconds_of_at_least_one(client):
    assert client.get("/raise/unavailable").headers["Retry-After"] == "3"
    assert client.get("/raise/rate").headers["Retry-After"] == "1"
    assert "Retry-After" not in client.get("/raise/quota").headers


def test_no_route__unknown_path__404_problem(client):
    answer = client.get("/nowhere")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_method__not_known__405_with_allow_before_any_credential(client):
    for url, allowed in [("/things", "GET, POST"), ("/hot/things", "GET")]:
        answer = client.delete(url)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
        assert answer.json()["code"] == "method_not_allowed"


def test_body__faulty_fields__pointers_and_openmeter_extension(client, bearer):
    answer = client.post(
        "/things",
        {"name": "long", "children": [1, "x"]},
        content_type="application/json",
        headers=bearer,
    )
    body = answer.json()
    assert answer.status_code == 400
    assert [fault["pointer"] for fault in body["errors"]] == ["/name", "/children/1"]
    assert len(body["extensions"]["validationErrors"]) == 2


@pytest.mark.parametrize("text", ["{", '{"name": NaN}', b"\xff\xfe"])
def test_body__no_json__400_malformed(client, bearer, text):
    answer = client.post("/things", text, content_type="application/json", headers=bearer)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")


def test_body__other_media_type__415(client, bearer):
    answer = client.post("/things", "name=x", content_type="text/plain", headers=bearer)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_accept__nothing_we_render__406(client, bearer):
    answer = client.get("/things", headers={**bearer, "Accept": "image/png"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


def test_body__too_large__413_before_anything_is_read(client, bearer, settings):
    answer = client.post(
        "/things",
        b"x" * (settings.INNKEEPER_MAX_BODY_BYTES + 1),
        content_type="application/json",
        headers=bearer,
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("url", ["/things", "/hot/things"])
def test_head__longer_than_accepted__431_and_just_below_is_read(client, bearer, url):
    for length, status in [(LARGEST_HEAD, 431), (LARGEST_HEAD - 2000, 200)]:
        answer = client.get(url, headers={**bearer, "X-Long": "x" * length})
        assert answer.status_code == status
    answer = client.get(f"{url}?{'x' * LARGEST_HEAD}", headers=bearer)
    assert (answer.status_code, answer.json()["code"]) == (431, "head_too_large")
