"""Requests as bytes and answers back from bytes."""

from __future__ import annotations

import pytest

from bench.load.wire import UNIQUE, MalformedResponseError, Request, ResponseParser, json_request


def test_encode__unique_marks__are_replaced_before_the_length_is_counted() -> None:
    request = Request("POST", "/e", {"A": "b"}, f'["{UNIQUE}-0","{UNIQUE}-1"]')
    assert request.encode("h:1", "r7") == (
        b'POST /e HTTP/1.1\r\nHost: h:1\r\nA: b\r\nContent-Length: 17\r\n\r\n["r7-0","r7-1"]'
    ).replace(b"17", b"15")


def test_encode__get_without_body__has_no_length() -> None:
    assert b"Content-Length" not in Request("GET", "/").encode("h:1")


def test_json_request__token_and_media_type__become_headers() -> None:
    request = json_request("POST", "/x", "k", {"a": 1}, Content_Type="application/cloudevents+json")
    assert request.headers == {
        "Authorization": "Bearer k",
        "Content-Type": "application/cloudevents+json",
    }
    assert request.body == '{"a":1}'


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_feed__answers_cut_anywhere__come_out_whole(step: int) -> None:
    stream = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"
    )
    parser, answers = ResponseParser(), []
    for at in range(0, len(stream), step):
        answer = parser.feed(stream[at : at + step])
        while answer is not None:
            answers.append(answer)
            answer = parser.feed(b"")
    assert [(a.status, a.body) for a in answers] == [(200, b"ok"), (200, b"abcde"), (304, b"")]
    assert [a.keeps_alive for a in answers] == [True, True, False]


@pytest.mark.parametrize("head", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"])
def test_feed__no_http_answer__is_refused(head: bytes) -> None:
    with pytest.raises(MalformedResponseError):
        ResponseParser().feed(head)
