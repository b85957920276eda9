"""What surrounds every answer: ids, trace, headers, compression, the canonical line."""

import gzip
import json
import re

import pytest

from kernel.http import exchange
from kernel.http.context import RequestContext
from tests.kernel.gate.credentials import make_key


@pytest.fixture
def lines(monkeypatch):
    written = []
    keep = exchange.log_line

    def record(facts, total):
        line = keep(facts, total)
        written.append(line)
        return line

    monkeypatch.setattr(exchange, "log_line", record)
    return written


def test_request_id__well_formed__is_kept_and_others_replaced(client):
    assert client.get("/big", headers={"X-Request-Id": "abcd-1234"}).headers["X-Request-Id"] == (
        "abcd-1234"
    )
    for bad in ("x", "a b c d e f g h", "é" * 8, "a" * 65):
        made = client.get("/big", headers={"X-Request-Id": bad}).headers["X-Request-Id"]
        assert re.fullmatch("req_[0-9a-f]{24}", made)


def test_traceparent__valid__same_trace_new_span(client):
    trace, span = "a" * 32, "b" * 16
    answer = client.get("/big", headers={"traceparent": f"00-{trace}-{span}-01"})
    version, kept, own, flags = answer.headers["traceresponse"].split("-")
    assert (version, kept, flags) == ("00", trace, "01")
    assert own != span


@pytest.mark.parametrize("header", ["", "garbage", f"00-{'0' * 32}-{'b' * 16}-01"])
def test_traceparent__invalid__begins_a_trace(client, header):
    _, trace, _, flags = (
        client.get("/big", headers={"traceparent": header}).headers["traceresponse"].split("-")
    )
    assert re.fullmatch("[0-9a-f]{32}", trace)
    assert trace != "0" * 32
    assert flags == "00"


def test_headers__any_answer__carries_security_and_timing(client, bearer):
    headers = client.get("/things", headers=bearer).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-SLA-Target-Ms"] == "15"
    assert re.fullmatch(
        r"gate;dur=[\d.]+, app;dur=[\d.]+, total;dur=[\d.]+", headers["Server-Timing"]
    )


def test_gzip__large_and_accepted__compressed(client):
    answer = client.get("/big", headers={"Accept-Encoding": "gzip, br"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert json.loads(gzip.decompress(answer.content)) == {"text": "x" * 5000}
    assert "Content-Encoding" not in client.get("/big").headers


def test_gzip__secret_answer__never(client, bearer):
    answer = client.post(
        "/big", {}, content_type="application/json", headers={**bearer, "Accept-Encoding": "gzip"}
    )
    assert "Content-Encoding" not in answer.headers


def test_line__request_with_secrets_everywhere__contains_none(client, tenant, lines):
    key = make_key(tenant)
    client.post(
        f"/things?token={key.text}",
        {"name": "abc", "children": []},
        content_type="application/json",
        headers={"Authorization": f"Bearer {key.text}", "Cookie": "s=hush", "User-Agent": "hush"},
    )
    [line] = lines
    text = json.dumps(line, default=str)
    assert key.text not in text
    assert key.text.split("_")[3] not in text
    assert "hush" not in text
    assert line["tenant"] == tenant
    assert line["principal_id"] == str(key.key_id)
    assert (line["method"], line["route"], line["status"]) == ("POST", "things", 201)
    assert line["duration_ms"] > 0


def test_line__refused__names_the_code(client, lines):
    client.get("/things")
    assert lines[0]["code"] == "missing_credential"


def test_context__stage_twice__sums():
    facts = RequestContext("req_x")
    facts.stage("gate", facts.started_ns)
    first = facts.stages["gate"]
    facts.stage("gate", facts.started_ns)
    assert facts.stages["gate"] > first
